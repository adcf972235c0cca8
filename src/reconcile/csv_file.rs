//! CSV statements: their records as lines, by the names of their columns.

use std::io::Read;

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::format::{Format, Unusable};
use super::layout::Layout;
use super::line::{Broken, Line};

/// The longest record, bytes: what is longer is no statement's.
const RECORD_BYTES_MAX: usize = 64 * 1024;

/// A CSV statement under way.
pub(super) struct CsvFile<R> {
    reader: Reader<R>,
    layout: Layout,
    record: ByteRecord,
}

impl<R: Read> CsvFile<R> {
    /// Reads the header.
    pub(super) fn open(
        input: R,
        said: Option<Format>,
        psp: Option<&str>,
    ) -> Result<Self, Unusable> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(input);
        let header = reader.byte_headers()?.clone();
        let mut names = Vec::new();
        for name in &header {
            let name = std::str::from_utf8(name);
            let name = name.map_err(|_| Unusable::Refused("its header is not UTF-8".to_owned()))?;
            names.push(name.trim_start_matches('\u{feff}').to_owned());
        }
        let layout = Layout::of(&names, said, psp).map_err(Unusable::Refused)?;
        Ok(Self {
            reader,
            layout,
            record: ByteRecord::new(),
        })
    }

    pub(super) fn format(&self) -> Format {
        self.layout.format
    }

    /// The next line, or what is wrong with it; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<Line, Broken>>, Unusable> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let number = self.record.position().map_or(0, csv::Position::line);
        let read = self.read(number);
        Ok(Some(read.map_err(|problem| Broken::new(number, problem))))
    }

    fn read(&self, number: u64) -> Result<Line, String> {
        let (found, expected) = (self.record.len(), self.layout.columns);
        if found != expected {
            return Err(format!("it has {found} fields, the header has {expected}"));
        }
        if self.record.as_slice().len() > RECORD_BYTES_MAX {
            return Err(format!("it is longer than {RECORD_BYTES_MAX} bytes"));
        }
        let field = |column: usize| {
            let bytes = self.record.get(column).unwrap_or_default();
            std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
        };
        self.layout.line(number, &field)
    }
}
