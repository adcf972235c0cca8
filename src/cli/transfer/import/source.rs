//! Where the rows come from: a file or standard input, CSV or JSON lines.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::csv::CsvRecords;
use super::jsonl::JsonLines;
use super::row::Row;
use crate::cli::exit::Failure;

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum InputFormat {
    /// CSV with a header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// An input that was opened.
pub(super) struct Source {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    /// Its length, where it is a file.
    pub(super) bytes: Option<u64>,
}

/// The records of an input.
pub(super) enum Records {
    Csv(Box<CsvRecords<Input>>),
    Jsonl(JsonLines<Input>),
}

type Input = BufReader<io::Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>>;

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it can't be read.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            let input = Box::new(io::stdin());
            return Ok(Self {
                path: "standard input".into(),
                input,
                bytes: None,
            });
        }
        let unusable = |problem: String| {
            Failure::Usage(format!("{} can't be read: {problem}", path.display()))
        };
        let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
        let metadata = file
            .metadata()
            .map_err(|error| unusable(error.to_string()))?;
        if metadata.is_dir() {
            return Err(unusable("it is a directory".to_owned()).into());
        }
        let bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self {
            path: path.to_owned(),
            input: Box::new(file),
            bytes,
        })
    }

    /// Its name for people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Refuses to write over the input.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the path is the input itself.
    pub(super) fn check_is_not(&self, outcomes: &Path) -> Result<(), Failure> {
        let identity = |path: &Path| {
            std::fs::metadata(path)
                .ok()
                .map(|metadata| (metadata.dev(), metadata.ino()))
        };
        match (identity(&self.path), identity(outcomes)) {
            (Some(input), Some(output)) if input == output => Err(Failure::Usage(format!(
                "--outcomes {} is the input itself: name another file",
                outcomes.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Its records, in the format that was said, or that its name or first character tell.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an input without a usable beginning; what the input says.
    pub(super) fn records(mut self, format: Option<InputFormat>) -> anyhow::Result<Records> {
        let name = self.name();
        let mut start =
            beginning(&mut self.input).with_context(|| format!("{name} can't be read"))?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            let message = format!("{name} is UTF-16 text: save it as UTF-8");
            return Err(Failure::Usage(message).into());
        }
        start.drain(..start.len().saturating_sub(without_mark(&start).len()));
        let format = format
            .or_else(|| of_name(&self.path))
            .unwrap_or_else(|| sniff(&start));
        let input = BufReader::with_capacity(256 * 1024, Cursor::new(start).chain(self.input));
        let records = match format {
            InputFormat::Csv => CsvRecords::new(input).map(|csv| Records::Csv(Box::new(csv))),
            InputFormat::Jsonl => JsonLines::new(input).map(Records::Jsonl),
        };
        records.map_err(|error| match error.downcast::<Failure>() {
            Ok(Failure::Usage(problem)) => Failure::Usage(format!("{name}: {problem}")).into(),
            Ok(failure) => failure.into(),
            Err(error) => error.context(format!("{name} can't be read")),
        })
    }
}

/// Enough of the input to tell its format: up to the first character that isn't white space.
fn beginning(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let mut byte = [0];
    let blank = |start: &[u8]| without_mark(start).trim_ascii().is_empty();
    while start.len() < 4_096 && (start.len() < 4 || blank(&start)) {
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => start.extend_from_slice(&byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(start)
}

/// The text behind a byte order mark of UTF-8.
fn without_mark(start: &[u8]) -> &[u8] {
    start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start)
}

fn of_name(path: &Path) -> Option<InputFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(InputFormat::Csv),
        "jsonl" | "ndjson" | "json" => Some(InputFormat::Jsonl),
        _ => None,
    }
}

fn sniff(start: &[u8]) -> InputFormat {
    match start.trim_ascii_start().first() {
        Some(b'{' | b'[') => InputFormat::Jsonl,
        _ => InputFormat::Csv,
    }
}

impl Records {
    /// Goes to the next record: whether there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        match self {
            Self::Csv(records) => records.advance(),
            Self::Jsonl(records) => records.advance(),
        }
    }

    /// The line on which the present record begins.
    pub(super) fn line(&self) -> u64 {
        match self {
            Self::Csv(records) => records.line(),
            Self::Jsonl(records) => records.line(),
        }
    }

    /// The present record as a row.
    pub(super) fn row(&self) -> Row {
        match self {
            Self::Csv(records) => records.row(),
            Self::Jsonl(records) => records.row(),
        }
    }

    /// How many bytes were read, without a byte order mark.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Csv(records) => records.position(),
            Self::Jsonl(records) => records.position(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn format_of(text: &'static [u8]) -> InputFormat {
        let source = Source {
            path: "standard input".into(),
            input: Box::new(text),
            bytes: None,
        };
        match source.records(None).unwrap() {
            Records::Csv(_) => InputFormat::Csv,
            Records::Jsonl(_) => InputFormat::Jsonl,
        }
    }

    #[test]
    fn the_first_character_tells_the_format() {
        assert_eq!(format_of(b"key,from,to,currency,minor\n"), InputFormat::Csv);
        assert_eq!(
            format_of(b"\xef\xbb\xbfkey,from,to,currency,minor\n"),
            InputFormat::Csv
        );
        assert_eq!(format_of(b"{}"), InputFormat::Jsonl);
        assert_eq!(format_of(b"\xef\xbb\xbf\n\n  {}"), InputFormat::Jsonl);
    }

    #[test]
    fn an_input_that_cannot_be_used_at_all_is_refused() {
        let cases: [(&'static [u8], &str); 5] = [
            (b"", "empty"),
            (b"\n\n", "empty"),
            (b"\xff\xfek\0e\0y\0", "UTF-16"),
            (b"[{}]", "array"),
            (b"\xff,x\n", "not UTF-8"),
        ];
        for (text, expected) in cases {
            let source = Source {
                path: "in".into(),
                input: Box::new(text),
                bytes: None,
            };
            let error = source.records(None).err().unwrap();
            assert!(error.is::<Failure>(), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
