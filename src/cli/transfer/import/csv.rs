//! Records of CSV, read one by one with the line on which each begins, in bounded memory.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use super::columns::{Column, Fields, Header};
use super::row::{Problem, Row};
use crate::cli::exit::Failure;

/// The most bytes that one record may have.
pub(super) const RECORD_BYTES_MAX: usize = 1024 * 1024;
const RECORD_FIELDS_MAX: usize = 256;

/// A reader of CSV records.
pub(super) struct CsvRecords<R> {
    input: R,
    core: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How much of `text` and `ends` the present record fills.
    text_len: usize,
    ends_len: usize,
    /// The line at the reader's place, and whether the byte before it was a carriage return.
    at_line: u64,
    after_return: bool,
    position: u64,
    /// Of the present record: where it begins, and what is wrong with it.
    first_line: u64,
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
            input,
            core: csv_core::Reader::new(),
            text: vec![0; 4 * 1024],
            ends: vec![0; RECORD_FIELDS_MAX],
            text_len: 0,
            ends_len: 0,
            at_line: 1,
            after_return: false,
            position: 0,
            first_line: 1,
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
        self.position
    }

    /// Goes to the next record: whether there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.skip_line_ends()?;
        self.first_line = self.at_line;
        self.problem = None;
        (self.text_len, self.ends_len) = (0, 0);
        loop {
            let input = self.input.fill_buf()?;
            let (result, read, written, ended) = self.core.read_record(
                input,
                self.text.get_mut(self.text_len..).unwrap_or_default(),
                self.ends.get_mut(self.ends_len..).unwrap_or_default(),
            );
            let consumed = input.get(..read).unwrap_or_default();
            self.after_return = match consumed.last() {
                Some(last) => *last == b'\r',
                None => self.after_return,
            };
            self.at_line = self.at_line.saturating_add(line_feeds(consumed));
            self.position = self.position.saturating_add(read as u64);
            self.input.consume(read);
            self.text_len = self.text_len.saturating_add(written);
            self.ends_len = self.ends_len.saturating_add(ended);
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.make_room(),
                ReadRecordResult::OutputEndsFull => {
                    let detail = format!("has more than {RECORD_FIELDS_MAX} fields");
                    self.discard(Problem::malformed(detail));
                }
            }
        }
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
        if let Some(problem) = &self.problem {
            return Row::unreadable(self.first_line, None, problem.clone());
        }
        let columns = self.header.columns();
        if self.ends_len != columns.len() {
            let detail = self.miscounted(columns.len());
            return Row::unreadable(self.first_line, self.key(), Problem::malformed(detail));
        }
        let mut fields = Fields::default();
        for (n, column) in columns.iter().enumerate() {
            match str::from_utf8(self.field(n)) {
                // An empty cell is a field that was not given.
                Ok("") => {}
                Ok(text) => fields.set(*column, text),
                Err(_) => {
                    let problem = Problem::not_utf8(column.name());
                    return Row::unreadable(self.first_line, self.key(), problem);
                }
            }
        }
        Row::of(self.first_line, &fields)
    }

    fn miscounted(&self, columns: usize) -> String {
        let count = format!("has {} fields, the header has {columns}", self.ends_len);
        match self.at_line.saturating_sub(self.first_line) {
            0 | 1 => count,
            lines => format!("{count}; it runs over {lines} lines: is a quote not closed?"),
        }
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

    fn make_room(&mut self) {
        if self.problem.is_some() || self.text.len() >= RECORD_BYTES_MAX {
            self.discard(Problem::too_long(RECORD_BYTES_MAX));
            return;
        }
        let doubled = self.text.len().saturating_mul(2).min(RECORD_BYTES_MAX);
        self.text.resize(doubled, 0);
    }

    /// Goes on to the record's end without keeping it. A quote that was never closed ends with
    /// the file: to look for rows within would post what may be somebody's text.
    fn discard(&mut self, problem: Problem) {
        (self.text_len, self.ends_len) = (0, 0);
        self.problem.get_or_insert(problem);
    }

    /// Passes over the ends of lines before a record, so that it gets the line it stands on.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let Some(byte) = self.input.fill_buf()?.first().copied() else {
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
            self.position = self.position.saturating_add(1);
            self.input.consume(1);
        }
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::super::row::Asked;
    use super::*;

    const HEADER: &str = "key,from,to,currency,minor,reference";

    fn rows(text: &[u8], buffer: usize) -> Vec<(u64, Option<String>, &'static str)> {
        let input = io::BufReader::with_capacity(buffer, text);
        let mut records = CsvRecords::new(input).unwrap();
        let mut rows = Vec::new();
        while records.advance().unwrap() {
            let row = records.row();
            let code = match row.asked {
                Asked::Post(_) => "ok",
                Asked::Refused(rejection) => rejection.code.as_str(),
                Asked::Unreadable(problem) => problem.code,
            };
            rows.push((row.line, row.key, code));
        }
        assert_eq!(records.position(), text.len() as u64);
        rows
    }

    fn keyed(line: u64, key: &str, code: &'static str) -> (u64, Option<String>, &'static str) {
        (line, Some(key.to_owned()), code)
    }

    #[test]
    fn a_record_has_the_line_on_which_it_begins() {
        let body = "k1,a,b,NGN,5,\n\n\nk2,a,b,NGN,5,\"one\ntwo\"\nk3,a,b,NGN,5,x";
        let expected = vec![
            keyed(2, "k1", "ok"),
            keyed(5, "k2", "field_invalid"),
            keyed(7, "k3", "ok"),
        ];
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("{HEADER}\n{body}").replace('\n', end);
            if end == "\r" {
                // A quoted carriage return doesn't count as a line of its own.
                continue;
            }
            for buffer in [1, 2, 3, 7, 8_192] {
                assert_eq!(rows(text.as_bytes(), buffer), expected, "{end:?} {buffer}");
            }
        }
        let text = format!("{HEADER}\rk1,a,b,NGN,5,\r\rk2,a,b,NGN,5,");
        let expected = vec![keyed(2, "k1", "ok"), keyed(4, "k2", "ok")];
        for buffer in [1, 2, 8_192] {
            assert_eq!(rows(text.as_bytes(), buffer), expected, "{buffer}");
        }
    }

    #[test]
    fn a_broken_record_leaves_the_others_alone() {
        let mut text = format!("{HEADER}\nk1,a,b,NGN,5,\nk2,a,b\nk3,a,b,NGN,5,").into_bytes();
        text.extend_from_slice(b"\xff\nk4,a,b,NGN,5,");
        let many = ",".repeat(RECORD_FIELDS_MAX);
        text.extend_from_slice(format!("\n{many}\nk6,a,b,NGN,5,").as_bytes());
        let expected = vec![
            keyed(2, "k1", "ok"),
            keyed(3, "k2", "record_malformed"),
            keyed(4, "k3", "not_utf8"),
            keyed(5, "k4", "ok"),
            (6, None, "record_malformed"),
            keyed(7, "k6", "ok"),
        ];
        for buffer in [1, 5, 8_192] {
            assert_eq!(rows(&text, buffer), expected, "{buffer}");
        }
    }

    #[test]
    fn a_record_beyond_the_limit_is_passed_over_in_bounded_memory() {
        let long = "x".repeat(3 * RECORD_BYTES_MAX);
        let text = format!("{HEADER}\nk1,a,b,NGN,5,{long}\nk2,a,b,NGN,5,\nk3,a,b,NGN,5,\"{long}\n");
        let input = io::BufReader::new(text.as_bytes());
        let mut records = CsvRecords::new(input).unwrap();
        let mut codes = Vec::new();
        while records.advance().unwrap() {
            codes.push((
                records.line(),
                matches!(records.row().asked, Asked::Post(_)),
            ));
            assert!(records.text.len() <= RECORD_BYTES_MAX);
        }
        assert_eq!(codes, [(2, false), (3, true), (4, false)]);
    }
}
