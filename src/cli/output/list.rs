//! Lists, written as they come: only a table for people is held until its end, since its columns
//! are as wide as their widest cell.

use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;

use super::{Format, Output, Record, StdoutError, Table, json_line};

/// A list under way.
#[derive(Debug)]
pub(crate) struct List<'a, T> {
    output: &'a Output,
    out: BufWriter<io::Stdout>,
    held: Table,
    count: usize,
    records: PhantomData<T>,
}

impl<'a, T: Record> List<'a, T> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self {
            output,
            out: output.stream(),
            held: Table::empty(T::COLUMNS),
            count: 0,
            records: PhantomData,
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn push(&mut self, record: &T) -> Result<(), StdoutError> {
        match self.output.format() {
            Format::Table => self.held.push(record),
            Format::Jsonl => json_line(&mut self.out, record)?,
            Format::Json => self.json_item(record)?,
            Format::Csv => {
                Table::of(std::slice::from_ref(record)).csv(&mut self.out, self.count == 0)?;
            }
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Ends the list.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn finish(mut self) -> Result<(), StdoutError> {
        match (self.output.format(), self.count) {
            (Format::Table, 0) => self.output.note("nothing to list"),
            (Format::Table, _) => {
                let text = self.output.table_text(&self.held);
                self.out.write_all(text.as_bytes())?;
            }
            (Format::Json, 0) => self.out.write_all(b"[]\n")?,
            (Format::Json, _) => self.out.write_all(b"\n]\n")?,
            // The header alone, so that a reader of CSV finds its columns.
            (Format::Csv, 0) => self.held.csv(&mut self.out, true)?,
            (Format::Jsonl | Format::Csv, _) => {}
        }
        self.out.flush()?;
        Ok(())
    }

    fn json_item(&mut self, record: &T) -> io::Result<()> {
        let item = serde_json::to_string_pretty(record)?;
        let start = if self.count == 0 { "[\n" } else { ",\n" };
        self.out.write_all(start.as_bytes())?;
        for (n, line) in item.lines().enumerate() {
            let indent = if n == 0 { "  " } else { "\n  " };
            self.out.write_all(indent.as_bytes())?;
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}
