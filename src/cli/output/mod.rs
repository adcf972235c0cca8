//! What a command says: data on standard output in one of four formats, all else on standard
//! error. Nothing else in the tool prints.

mod list;
mod screen;
mod table;

use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

pub(crate) use list::List;
pub(crate) use screen::Screen;
pub(crate) use table::{Cell, Column, Record, Table, Tone};

use super::exit::{Failure, told};

/// The format of the data on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: money with its currency's decimals.
    #[default]
    Table,
    /// One JSON document; money in minor units.
    Json,
    /// One JSON object a line; money in minor units.
    Jsonl,
    /// CSV with a header line; money in minor units.
    Csv,
}

/// What the command line says about output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// The format of the data.
    pub format: Format,
    /// Nothing on standard error but errors.
    pub quiet: bool,
    /// More columns in tables.
    pub verbose: bool,
    /// No colours, whatever the terminal can do.
    pub no_color: bool,
}

/// Where a command puts what it has to say.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    options: Options,
    /// Whether standard output takes colours.
    color: bool,
    /// Whether standard error takes colours.
    error_color: bool,
}

/// A rule's no, for programs.
#[derive(Serialize)]
struct Rejected<'a> {
    status: &'a str,
    code: &'a str,
    detail: &'a str,
}

/// Standard output did not take what was written.
#[derive(Debug, thiserror::Error)]
#[error("standard output can't be written: {0}")]
pub(crate) struct StdoutError(#[from] pub io::Error);

impl StdoutError {
    /// Whether the reader has gone, as `head` does once it has seen enough.
    #[must_use]
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Output {
    /// Output as the options, `NO_COLOR` and the terminals want it.
    #[must_use]
    pub(crate) fn new(options: Options) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let allowed = !options.no_color && !set("NO_COLOR") && !dumb;
        Self {
            options,
            color: allowed && io::stdout().is_terminal(),
            error_color: allowed && io::stderr().is_terminal(),
        }
    }

    /// The format of the data.
    #[must_use]
    pub(crate) fn format(&self) -> Format {
        self.options.format
    }

    /// Whether nothing but errors goes to standard error.
    #[must_use]
    pub(crate) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Whether standard error is a terminal on which a bar can be drawn.
    #[must_use]
    pub(crate) fn draws_bars(&self) -> bool {
        !self.options.quiet && io::stderr().is_terminal()
    }

    /// Whether the data goes to a terminal.
    #[must_use]
    pub(crate) fn data_is_on_a_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether standard error takes colours.
    #[must_use]
    pub(crate) fn error_color(&self) -> bool {
        self.error_color
    }

    /// Shows one record.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn record<T: Record>(&self, record: &T) -> Result<(), StdoutError> {
        let table = Table::of(std::slice::from_ref(record));
        self.write(|out| match self.options.format {
            Format::Table => out.write_all(table.vertical(self.color).as_bytes()),
            Format::Json => json_document(out, record),
            Format::Jsonl => json_line(out, record),
            Format::Csv => table.csv(out, true),
        })
    }

    /// Begins a list of records.
    #[must_use]
    pub(crate) fn list<T: Record>(&self) -> List<'_, T> {
        List::new(self)
    }

    /// Shows all of a list.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn all<T: Record>(&self, records: &[T]) -> Result<(), StdoutError> {
        let mut list = self.list();
        for record in records {
            list.push(record)?;
        }
        list.finish()
    }

    /// Shows one thing that has parts: for people `head` field by field and then the table of
    /// its parts, in CSV the parts alone, in JSON the thing.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn document(
        &self,
        json: &impl Serialize,
        head: Option<&Table>,
        parts: &Table,
    ) -> Result<(), StdoutError> {
        self.write(|out| match self.options.format {
            Format::Table => {
                if let Some(head) = head {
                    out.write_all(head.vertical(self.color).as_bytes())?;
                    out.write_all(b"\n")?;
                }
                out.write_all(self.table_text(parts).as_bytes())
            }
            Format::Json => json_document(out, json),
            Format::Jsonl => json_line(out, json),
            Format::Csv => parts.csv(out, true),
        })
    }

    /// Writes text as it is, for what is made for a reader of its own: a shell, `man`.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn text(&self, text: &[u8]) -> Result<(), StdoutError> {
        self.write(|out| out.write_all(text))
    }

    /// How many columns a table may take, where a person looks on; `None` elsewhere.
    pub(crate) fn width(&self) -> Option<usize> {
        let (_, width) = dialoguer::console::Term::stdout().size_checked()?;
        self.draws_tables().then_some(usize::from(width))
    }

    fn draws_tables(&self) -> bool {
        self.options.format == Format::Table && self.data_is_on_a_terminal()
    }

    /// A screen to draw on, where a person looks on at the data; `None` elsewhere.
    pub(crate) fn screen(&self) -> Option<Screen> {
        self.draws_tables().then(Screen::new)
    }

    /// A buffered writer on standard output, for a stream of lines. Flush it.
    pub(crate) fn stream(&self) -> BufWriter<io::Stdout> {
        BufWriter::with_capacity(64 * 1024, io::stdout())
    }

    /// Says something that is not data: what was done, how to go on.
    pub(crate) fn note(&self, message: &str) {
        if !self.options.quiet {
            self.say("", "", message);
        }
    }

    /// Shows a person what is asked about, also where notes are not wanted: a question without its
    /// subject could not be answered.
    pub(crate) fn subject(&self, text: &str) {
        self.say("", "", text.trim_end_matches('\n'));
    }

    /// A table for people on standard error, such as a plan's.
    #[must_use]
    pub(crate) fn error_table(&self, table: &Table) -> String {
        table.horizontal(self.error_color, self.options.verbose)
    }

    /// A table for people that goes into [`Output::text`]: a line a row.
    #[must_use]
    pub(crate) fn horizontal(&self, table: &Table) -> String {
        self.table_text(table)
    }

    /// A table for people that goes into [`Output::text`]: a line a field.
    #[must_use]
    pub(crate) fn vertical(&self, table: &Table) -> String {
        table.vertical(self.color)
    }

    /// Says that something looks wrong, though it stops nothing.
    pub(crate) fn warn(&self, message: &str) {
        if !self.options.quiet {
            self.say("warning: ", "\x1b[1;33m", message);
        }
    }

    /// Says that something went wrong.
    pub(crate) fn error(&self, message: &str) {
        self.say("error: ", "\x1b[1;31m", message);
    }

    /// Says that a rule said no: as data where a program reads, in words for a person.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn rejected(&self, code: &str, detail: &str) -> Result<(), StdoutError> {
        let status = "rejected";
        let answer = Rejected {
            status,
            code,
            detail,
        };
        self.write(|out| match self.options.format {
            Format::Table => Ok(()),
            Format::Json => json_document(out, &answer),
            Format::Jsonl => json_line(out, &answer),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(["status", "code", "detail"])?;
                csv.write_record([status, code, detail])?;
                csv.flush()
            }
        })?;
        self.say("rejected: ", "\x1b[1;31m", &format!("{code}: {detail}"));
        Ok(())
    }

    /// Tells why a command failed.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub(crate) fn failure(&self, error: &anyhow::Error) -> Result<(), StdoutError> {
        match error.downcast_ref::<Failure>() {
            Some(Failure::Rejected { code, detail }) => self.rejected(code, detail)?,
            Some(Failure::Interrupted(message)) => self.say("interrupted: ", "\x1b[1m", message),
            _ => self.error(&told(error)),
        }
        Ok(())
    }

    fn say(&self, label: &str, style: &str, message: &str) {
        let line = if self.error_color && !label.is_empty() {
            format!("{style}{label}\x1b[0m{message}\n")
        } else {
            format!("{label}{message}\n")
        };
        // Nobody is left to be told where standard error can't be written.
        drop(io::stderr().lock().write_all(line.as_bytes()));
    }

    fn table_text(&self, table: &Table) -> String {
        table.horizontal(self.color, self.options.verbose)
    }

    fn write(
        &self,
        with: impl FnOnce(&mut BufWriter<io::StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<(), StdoutError> {
        let mut out = BufWriter::new(io::stdout().lock());
        with(&mut out)?;
        out.flush()?;
        Ok(())
    }
}

fn json_document(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

fn json_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
