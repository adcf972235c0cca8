//! What came of each row, written in the order of the input, and read back to go on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::earlier::{Earlier, Finished};
use super::summary::Summary;
use crate::cli::exit::Failure;
use crate::cli::output::StdoutError;

const HEADER: &str = "line,key,status,transaction_id,code,detail\n";

/// How outcomes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutcomesFormat {
    Csv,
    Jsonl,
}

impl OutcomesFormat {
    /// The format that a file's name tells.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// Whether a file in this format may begin so: with all of its first words, or a torn part.
    fn begins(self, text: &[u8]) -> bool {
        let first = match self {
            Self::Csv => HEADER.as_bytes(),
            Self::Jsonl => b"{\"line\":",
        };
        text.starts_with(first) || first.starts_with(text)
    }
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Took effect now.
    Posted,
    /// Had taken effect before.
    Replayed,
    /// A rule said no.
    Rejected,
    /// Can't be read.
    Invalid,
}

/// An outcome as it is written. No field holds a line end, so that an outcome is a line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) line: u64,
    pub(super) key: Option<String>,
    pub(super) status: Status,
    pub(super) transaction_id: Option<Uuid>,
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
}

/// Where outcomes go.
pub(super) struct Outcomes {
    sink: Sink,
    format: OutcomesFormat,
    /// What an earlier run wrote, counted.
    pub(super) earlier: Summary,
    /// The last of what an earlier run wrote.
    pub(super) finished: Option<Finished>,
    header_due: bool,
}

enum Sink {
    Stdout(io::Stdout),
    File {
        file: File,
        name: String,
        /// Where to begin, what stands behind it being cut off with the first write.
        begin_at: Option<u64>,
    },
}

impl Outcomes {
    pub(super) fn to_stdout(format: OutcomesFormat) -> Self {
        Self {
            sink: Sink::Stdout(io::stdout()),
            format,
            earlier: Summary::default(),
            finished: None,
            header_due: true,
        }
    }

    /// Writes to a file, behind what an earlier run wrote when it resumes.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the file holds something other than outcomes,
    /// [`Failure::Busy`] where another import writes it.
    pub(super) fn to_file(
        path: &Path,
        format: OutcomesFormat,
        resume: bool,
    ) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Failure::Usage(format!("{name} can't be written: {error}")))?;
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if !is_file {
            return Ok(Self::to_device(file, name, format));
        }
        match file.try_lock() {
            Ok(()) => {}
            // Some network file systems know no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Busy(format!("another import writes {name}")).into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{name} can't be locked"));
            }
        }
        check_holds_outcomes(&mut file, &name, format)?;
        let earlier = match resume {
            true => Earlier::read_back(&mut file, format, &name)?,
            false => Earlier::default(),
        };
        let begin_at = Some(earlier.end);
        Ok(Self {
            sink: Sink::File {
                file,
                name,
                begin_at,
            },
            format,
            header_due: earlier.end == 0,
            earlier: earlier.summary,
            finished: earlier.finished,
        })
    }

    /// A pipe or a device: nothing to go on with, nothing to cut off.
    fn to_device(file: File, name: String, format: OutcomesFormat) -> Self {
        let sink = Sink::File {
            file,
            name,
            begin_at: None,
        };
        Self {
            sink,
            ..Self::to_stdout(format)
        }
    }

    /// Whether they go to a terminal or a pipe rather than a file.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout(_))
    }

    /// Writes the outcomes of a batch, all at once.
    ///
    /// # Errors
    /// [`StdoutError`] or what the file says.
    pub(super) fn write(&mut self, outcomes: &[Outcome]) -> anyhow::Result<()> {
        let text = self.text(outcomes)?;
        match &mut self.sink {
            Sink::Stdout(out) => {
                out.write_all(&text)
                    .and_then(|()| out.flush())
                    .map_err(StdoutError)?;
            }
            Sink::File {
                file,
                name,
                begin_at,
            } => begin(file, begin_at.take())
                .and_then(|()| file.write_all(&text))
                .with_context(|| format!("{name} can't be written"))?,
        }
        Ok(())
    }

    /// Ends them: a list without rows still has its header.
    ///
    /// # Errors
    /// As [`Outcomes::write`].
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.write(&[])?;
        match &self.sink {
            Sink::File { file, name, .. } if file.metadata()?.is_file() => file
                .sync_all()
                .with_context(|| format!("{name} can't be written")),
            _ => Ok(()),
        }
    }

    fn text(&mut self, outcomes: &[Outcome]) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(outcomes.len().saturating_mul(100));
        match self.format {
            OutcomesFormat::Jsonl => {
                for outcome in outcomes {
                    serde_json::to_writer(&mut text, outcome)?;
                    text.push(b'\n');
                }
            }
            OutcomesFormat::Csv => {
                if std::mem::take(&mut self.header_due) {
                    text.extend_from_slice(HEADER.as_bytes());
                }
                let mut writer = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(&mut text);
                for outcome in outcomes {
                    writer.serialize(outcome)?;
                }
                writer.flush()?;
            }
        }
        Ok(text)
    }
}

fn begin(file: &mut File, at: Option<u64>) -> io::Result<()> {
    let Some(at) = at else { return Ok(()) };
    file.set_len(at)?;
    file.seek(SeekFrom::Start(at)).map(drop)
}

/// Refuses to write over anything but outcomes.
fn check_holds_outcomes(file: &mut File, name: &str, format: OutcomesFormat) -> anyhow::Result<()> {
    let mut start = Vec::new();
    let unusable = |error: io::Error| Failure::Usage(format!("{name} can't be used: {error}"));
    Read::by_ref(file)
        .take(64)
        .read_to_end(&mut start)
        .map_err(unusable)?;
    file.seek(SeekFrom::Start(0)).map_err(unusable)?;
    if format.begins(&start) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{name} exists and does not hold outcomes in this format: name another file, or remove it"
    ))
    .into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn outcome(line: u64, status: Status) -> Outcome {
        Outcome {
            line,
            key: Some(format!("k{line},\"x\"")),
            status,
            transaction_id: None,
            code: None,
            detail: None,
        }
    }

    fn written(path: &Path, format: OutcomesFormat) -> Vec<u8> {
        let mut outcomes = Outcomes::to_file(path, format, false).unwrap();
        outcomes
            .write(&[outcome(2, Status::Posted), outcome(3, Status::Invalid)])
            .unwrap();
        outcomes.write(&[outcome(7, Status::Replayed)]).unwrap();
        outcomes.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_torn_file_goes_on_behind_its_last_complete_line() {
        let directory = tempfile::tempdir().unwrap();
        for format in [OutcomesFormat::Csv, OutcomesFormat::Jsonl] {
            let path = directory.path().join("outcomes");
            let _ = std::fs::remove_file(&path);
            let whole = written(&path, format);
            for cut in 0..=whole.len() {
                std::fs::write(&path, whole.get(..cut).unwrap()).unwrap();
                let mut outcomes = Outcomes::to_file(&path, format, true).unwrap();
                let kept = outcomes.earlier.read;
                let last = outcomes.finished.as_ref().map(|finished| finished.line);
                assert_eq!(last, [None, Some(2), Some(3), Some(7)][kept as usize]);
                let rest = [
                    outcome(2, Status::Posted),
                    outcome(3, Status::Invalid),
                    outcome(7, Status::Replayed),
                ];
                outcomes.write(&rest[kept as usize..]).unwrap();
                outcomes.finish().unwrap();
                drop(outcomes);
                assert_eq!(std::fs::read(&path).unwrap(), whole, "{cut}");
            }
        }
    }

    #[test]
    fn a_file_that_holds_something_else_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious.csv");
        std::fs::write(&path, "name,wage\n").unwrap();
        for resume in [false, true] {
            let refused = Outcomes::to_file(&path, OutcomesFormat::Csv, resume)
                .err()
                .unwrap();
            assert!(refused.is::<Failure>(), "{refused}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"name,wage\n");
    }

    #[test]
    fn a_second_import_into_the_same_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outcomes.csv");
        let _first = Outcomes::to_file(&path, OutcomesFormat::Csv, false).unwrap();
        let second = Outcomes::to_file(&path, OutcomesFormat::Csv, true)
            .err()
            .unwrap();
        assert!(
            matches!(second.downcast_ref(), Some(Failure::Busy(_))),
            "{second}"
        );
    }
}
