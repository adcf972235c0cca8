//! Records of CSV, read one by one with the line on which each begins, in bounded memory.
//!
//! A record that can't come to a good end, since its quote is never closed or it has become too
//! large, is invalid and ends with its first line; those behind it are read anew.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use super::columns::{Column, Fields, Header};
use super::rereading::Rereading;
use super::row::{Problem, Row};
use crate::cli::exit::Failure;

/// The most bytes that one record may have.
pub(super) const RECORD_BYTES_MAX: usize = 1024 * 1024;
const RECORD_FIELDS_MAX: usize = 256;

/// A reader of CSV records.
pub(super) struct CsvRecords<R> {
    input: Rereading<R>,
    core: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How much of `text` and `ends` the present record fills.
    text_len: usize,
    ends_len: usize,
    /// The line at the reader's place, and whether the byte before it was a carriage return.
    at_line: u64,
    after_return: bool,
    /// Of the present record: where it begins, over how many lines it runs, and what is wrong with
    /// it.
    first_line: u64,
    lines: u64,
    problem: Option<Problem>,
    header: Header,
}

impl<R: BufRead> CsvRecords<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Failure::Usage`] where there is none that can be used; what the input says.
    pub(super) fn new(input: R) -> anyhow::Result<Self> {
        let mut records = Self {
            input: Rereading::new(input),
            core: csv_core::Reader::new(),
            text: vec![0; 4 * 1024],
            ends: vec![0; RECORD_FIELDS_MAX],
            text_len: 0,
            ends_len: 0,
            at_line: 1,
            after_return: false,
            first_line: 1,
            lines: 1,
            problem: None,
            header: Header::nothing(),
        };
        if !records.advance()? {
            return Err(Failure::Usage(
                "the input is empty: the first line has to name the columns".to_owned(),
            )
            .into());
        }
        let line = records.first_line;
        let refused = |problem: &str| Failure::Usage(format!("line {line}: {problem}"));
        if let Some(problem) = &records.problem {
            return Err(refused(&problem.detail).into());
        }
        let names: Result<Vec<&str>, _> = (0..records.ends_len)
            .map(|n| str::from_utf8(records.field(n)))
            .collect();
        let names = names.map_err(|_| refused("the header is not UTF-8 text"))?;
        records.header = Header::read(&names, line)?;
        Ok(records)
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.input.position()
    }

    /// Goes to the next record: whether there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.skip_line_ends()?;
        self.input.begin();
        self.first_line = self.at_line;
        self.problem = None;
        (self.text_len, self.ends_len) = (0, 0);
        if self.input.fill()?.is_empty() {
            return Ok(false);
        }
        loop {
            let room = RECORD_BYTES_MAX.saturating_sub(self.input.record().len());
            if room == 0 {
                let problem = match self.input.record().iter().any(is_line_end) {
                    true => Problem::unclosed_quote(Some(RECORD_BYTES_MAX)),
                    false => Problem::too_long(RECORD_BYTES_MAX),
                };
                return self.break_off(problem);
            }
            let next = self.input.fill()?;
            let at_end = next.is_empty();
            let next = match at_end {
                // Ends the record as the end of a line would, unless a quote is open.
                true => b"\n",
                false => next.get(..next.len().min(room)).unwrap_or_default(),
            };
            let (result, read, written, ended) = self.core.read_record(
                next,
                self.text.get_mut(self.text_len..).unwrap_or_default(),
                self.ends.get_mut(self.ends_len..).unwrap_or_default(),
            );
            if !at_end {
                self.input.consume(read)?;
            }
            self.text_len = self.text_len.saturating_add(written);
            self.ends_len = self.ends_len.saturating_add(ended);
            match result {
                ReadRecordResult::Record => {
                    self.end();
                    return Ok(true);
                }
                ReadRecordResult::InputEmpty if at_end => {
                    return self.break_off(Problem::unclosed_quote(None));
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull => {
                    self.text.resize(self.text.len().saturating_mul(2), 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    let detail = format!("has more than {RECORD_FIELDS_MAX} fields");
                    let problem = Problem::malformed(detail);
                    return self.break_off(problem.over_lines(lines(self.input.record())));
                }
            }
        }
    }

    /// Ends a record that can't be read with its first line: those behind it are read anew.
    ///
    /// That stays within bounds, since a record is broken off once more only behind another line
    /// that opens a quote, and what runs over more of those than it may have fields is given up.
    fn break_off(&mut self, problem: Problem) -> io::Result<bool> {
        self.problem = Some(problem);
        let record = self.input.record();
        let end = record.iter().position(is_line_end);
        start_anew(&mut self.core);
        // The fields before the open quote: the key may be among them.
        let line = record.get(..end.unwrap_or(record.len()));
        let (_, _, written, ended) =
            self.core
                .read_record(line.unwrap_or_default(), &mut self.text, &mut self.ends);
        (self.text_len, self.ends_len) = (written, ended);
        start_anew(&mut self.core);
        match end {
            Some(end) => self.input.go_back(end.saturating_add(1)),
            None => self.pass_over_line()?,
        }
        self.end();
        Ok(true)
    }

    fn pass_over_line(&mut self) -> io::Result<()> {
        loop {
            let next = self.input.fill()?;
            let (length, end) = (next.len(), next.iter().position(is_line_end));
            let count = end.map_or(length, |end| end.saturating_add(1));
            self.input.pass_over(count)?;
            if count == 0 || end.is_some() {
                return Ok(());
            }
        }
    }

    /// Ends the record behind what was read of it.
    fn end(&mut self) {
        let record = self.input.record();
        self.lines = lines(record);
        self.after_return = record.ends_with(b"\r");
        self.at_line = self.first_line.saturating_add(line_feeds(record));
    }

    /// The line on which the present record begins.
    pub(super) fn line(&self) -> u64 {
        self.first_line
    }

    /// The present record's key as it stands.
    pub(super) fn key(&self) -> Option<&str> {
        let place = self
            .header
            .place_of(Column::Key)
            .filter(|place| *place < self.ends_len)?;
        str::from_utf8(self.field(place)).ok()
    }

    /// The present record as a row.
    pub(super) fn row(&self) -> Row {
        let unreadable = |problem: Problem| {
            Row::unreadable(self.first_line, self.key(), problem.over_lines(self.lines))
        };
        if let Some(problem) = &self.problem {
            return unreadable(problem.clone());
        }
        let columns = self.header.columns();
        if self.ends_len != columns.len() {
            let count = format!(
                "has {} fields, the header has {}",
                self.ends_len,
                columns.len()
            );
            return unreadable(Problem::malformed(count));
        }
        let mut fields = Fields::default();
        for (n, column) in columns.iter().enumerate() {
            match str::from_utf8(self.field(n)) {
                // An empty cell is a field that was not given.
                Ok("") => {}
                Ok(text) => fields.set(*column, text),
                Err(_) => return unreadable(Problem::not_utf8(column.name())),
            }
        }
        Row::of(self.first_line, &fields).over_lines(self.lines)
    }

    fn field(&self, n: usize) -> &[u8] {
        let end = self.ends.get(n).copied().unwrap_or_default();
        let start = n
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied();
        self.text
            .get(start.unwrap_or_default()..end)
            .unwrap_or_default()
    }

    /// Passes over the ends of lines before a record, so that it gets the line it stands on.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let Some(byte) = self.input.fill()?.first().copied() else {
                return Ok(());
            };
            match (byte, self.after_return) {
                (b'\n', _) => {
                    self.at_line = self.at_line.saturating_add(1);
                    self.after_return = false;
                }
                // A carriage return without a line feed ends a line by itself.
                (b'\r', true) => self.at_line = self.at_line.saturating_add(1),
                (b'\r', false) => self.after_return = true,
                (_, true) => {
                    self.at_line = self.at_line.saturating_add(1);
                    self.after_return = false;
                    return Ok(());
                }
                (_, false) => return Ok(()),
            }
            self.input.pass_over(1)?;
        }
    }
}

/// Makes the parser ready for a record.
fn start_anew(core: &mut csv_core::Reader) {
    core.reset();
    // An empty line, since it would take a byte order mark off the very first one.
    core.read_record(b"\n", &mut [0], &mut [0]);
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Over how many lines a record runs, its own end left out.
fn lines(record: &[u8]) -> u64 {
    line_feeds(record.strip_suffix(b"\n").unwrap_or(record)).saturating_add(1)
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests;
