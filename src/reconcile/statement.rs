//! A statement: its format, and its lines one after the other.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::camt053::Camt053;
use super::csv_file::CsvFile;
use super::format::{Format, Unusable};
use super::line::{Broken, Line};

/// How much is looked at to tell the format.
const BEGINNING_BYTES: u64 = 4_096;

/// A statement that was opened.
pub struct Statement {
    records: Records,
    hash: Arc<Mutex<Sha256>>,
}

enum Records {
    Csv(Box<CsvFile<Input>>),
    Camt053(Box<Camt053<Input>>),
}

type Input = BufReader<Hashed>;

/// An input whose bytes are hashed as they are read.
struct Hashed {
    input: io::Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>,
    hash: Arc<Mutex<Sha256>>,
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let taken = self.input.read(into)?;
        let mut hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        hash.update(into.get(..taken).unwrap_or_default());
        Ok(taken)
    }
}

impl Statement {
    /// Opens a statement of a PSP, or where none is named of a bank, in the format that was said, or
    /// that its beginning tells.
    ///
    /// # Errors
    /// [`Unusable`] for a file of another PSP or format.
    pub fn open(
        mut input: Box<dyn Read + Send>,
        said: Option<Format>,
        psp: Option<&str>,
    ) -> Result<Self, Unusable> {
        let mut start = Vec::new();
        input
            .by_ref()
            .take(BEGINNING_BYTES)
            .read_to_end(&mut start)?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(Unusable::Refused(
                "it is UTF-16 text: save it as UTF-8".to_owned(),
            ));
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        let first = text.trim_ascii_start().first().copied();
        let is_xml = first == Some(b'<');
        if first.is_none() {
            return Err(Unusable::Refused("it is empty".to_owned()));
        }
        match said {
            Some(Format::Camt053) if !is_xml => {
                return Err(Unusable::Refused(
                    "it is no XML, as a camt053 is".to_owned(),
                ));
            }
            Some(said) if is_xml && said != Format::Camt053 => {
                let problem = format!("it is XML, which a {said} is not");
                return Err(Unusable::Refused(problem));
            }
            _ => {}
        }
        let hash = Arc::new(Mutex::new(Sha256::new()));
        let hashed = Hashed {
            input: Cursor::new(start).chain(input),
            hash: Arc::clone(&hash),
        };
        let input = BufReader::with_capacity(256 * 1024, hashed);
        let records = if is_xml {
            Format::Camt053.check(psp).map_err(Unusable::Refused)?;
            Records::Camt053(Box::new(Camt053::new(input)))
        } else {
            Records::Csv(Box::new(CsvFile::open(input, said, psp)?))
        };
        Ok(Self { records, hash })
    }

    /// How it is written.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.records {
            Records::Csv(file) => file.format(),
            Records::Camt053(_) => Format::Camt053,
        }
    }

    /// The next line, or what is wrong with it; `None` at the end.
    ///
    /// # Errors
    /// [`Unusable`] where the rest can't be read.
    pub fn advance(&mut self) -> Result<Option<Result<Line, Broken>>, Unusable> {
        match &mut self.records {
            Records::Csv(file) => file.next(),
            Records::Camt053(file) => file.next(),
        }
    }

    /// The time that it says that it covers, as far as it was read; `None`: it does not say.
    #[must_use]
    pub fn span(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        match &self.records {
            Records::Csv(_) => None,
            Records::Camt053(file) => file.span(),
        }
    }

    /// The hash of what was read so far: of the file, at its end.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        hash.clone().finalize().into()
    }
}
