//! The outcomes of an earlier run, read back to go on behind them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use anyhow::Context as _;

use super::outcomes::{Outcome, OutcomesFormat};
use super::summary::Summary;
use crate::cli::exit::Failure;

/// The last row that has an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) line: u64,
    pub(super) key: Option<String>,
}

/// What an earlier run wrote.
#[derive(Default)]
pub(super) struct Earlier {
    /// The length of the part that holds complete outcomes.
    pub(super) end: u64,
    /// Its outcomes, counted.
    pub(super) summary: Summary,
    /// The last of them.
    pub(super) finished: Option<Finished>,
    /// Whether a line was no outcome, and whether others stand behind it.
    broken: bool,
    goes_on: bool,
}

impl Earlier {
    /// Reads them back. A last line that is torn does not count.
    ///
    /// # Errors
    /// [`Failure::Usage`] where outcomes stand behind a line that is none; what the file says.
    pub(super) fn read_back(
        file: &mut File,
        format: OutcomesFormat,
        name: &str,
    ) -> anyhow::Result<Self> {
        let context = || format!("{name} can't be read");
        let length = length_of_whole_lines(file).with_context(context)?;
        file.seek(SeekFrom::Start(0)).with_context(context)?;
        let whole = Read::by_ref(file).take(length);
        let mut earlier = Self::default();
        match format {
            OutcomesFormat::Csv => earlier.read_csv(whole),
            OutcomesFormat::Jsonl => earlier.read_jsonl(whole),
        }
        .with_context(context)?;
        if earlier.goes_on {
            return Err(Failure::Usage(format!(
            "{name} is damaged behind its first {} outcomes: start anew with another file (what \
             took effect is replayed, not posted twice)",
            earlier.summary.read
        ))
        .into());
        }
        Ok(earlier)
    }

    fn read_csv(&mut self, whole: impl Read) -> io::Result<()> {
        // One reader for all lines: it takes long to build.
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(whole);
        reader.byte_headers()?;
        self.end = reader.position().byte();
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record)? {
            self.take(record.deserialize(None).ok(), reader.position().byte());
        }
        Ok(())
    }

    fn read_jsonl(&mut self, whole: impl Read) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(256 * 1024, whole);
        let mut line = Vec::new();
        let mut position = 0_u64;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            position = position.saturating_add(read as u64);
            self.take(serde_json::from_slice(&line).ok(), position);
        }
    }

    /// Counts the next outcome, which ends at this position of the file.
    fn take(&mut self, outcome: Option<Outcome>, end: u64) {
        if self.broken {
            self.goes_on = true;
            return;
        }
        match outcome {
            Some(outcome) => {
                self.end = end;
                self.summary.count(outcome.status);
                self.finished = Some(Finished {
                    line: outcome.line,
                    key: outcome.key,
                });
            }
            None => self.broken = true,
        }
    }
}

/// How long a file is up to the end of its last complete line.
fn length_of_whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(64 * 1024);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        let length = end.saturating_sub(start);
        Read::by_ref(file).take(length).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start.saturating_add(at as u64).saturating_add(1));
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    const LINES: [(OutcomesFormat, [&str; 4]); 2] = [
        (
            OutcomesFormat::Csv,
            [
                "line,key,status,transaction_id,code,detail\n",
                "2,k2,posted,018f4a7e-0000-7000-8000-000000000000,,\n",
                "3,k3,invalid,,not_utf8,key: is not UTF-8 text\n",
                "7,\"k,7\",replayed,018f4a7e-0000-7000-8000-000000000001,,\n",
            ],
        ),
        (
            OutcomesFormat::Jsonl,
            [
                "",
                "{\"line\":2,\"key\":\"k2\",\"status\":\"posted\"}\n",
                "{\"line\":3,\"key\":null,\"status\":\"invalid\"}\n",
                "{\"line\":7,\"key\":\"k,7\",\"status\":\"replayed\"}\n",
            ],
        ),
    ];

    fn read(format: OutcomesFormat, text: &str) -> anyhow::Result<Earlier> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        Earlier::read_back(&mut file, format, "outcomes")
    }

    #[test]
    fn what_an_earlier_run_wrote_is_counted_up_to_its_last_complete_line() {
        for (format, lines) in LINES {
            let whole = lines.concat();
            let earlier = read(format, &whole).unwrap();
            assert_eq!(earlier.end, whole.len() as u64);
            assert_eq!((earlier.summary.read, earlier.summary.posted), (3, 1));
            let last = Finished {
                line: 7,
                key: Some("k,7".to_owned()),
            };
            assert_eq!(earlier.finished, Some(last));
            for torn in ["8,k", "{\"line\":8", "\0\0\0", "\0\0\n"] {
                let earlier = read(format, &format!("{whole}{torn}")).unwrap();
                assert_eq!(earlier.end, whole.len() as u64, "{torn:?}");
            }
        }
    }

    #[test]
    fn a_file_that_is_damaged_in_its_midst_is_not_gone_on_with() {
        for (format, lines) in LINES {
            let damaged = lines.concat().replace("invalid", "inv\0lid");
            let refused = read(format, &damaged).err().unwrap();
            assert!(refused.is::<Failure>());
            assert!(
                refused.to_string().contains("behind its first 1 "),
                "{refused}"
            );
        }
    }
}
