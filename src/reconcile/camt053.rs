//! Bank statements as ISO 20022 camt.053 XML, read entry by entry.
//!
//! A file may hold statements of several accounts (`Stmt`), an entry (`Ntry`) several details
//! (`TxDtls`). Details with amounts of their own are lines each, and have to sum to their entry;
//! otherwise the entry is one line. Versions differ in where they put the status and the amount of
//! a detail; both places are read. <https://www.iso20022.org/iso-20022-message-definitions>

use std::collections::VecDeque;
use std::io::BufRead;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use time::{Duration, OffsetDateTime};

use super::counted::Counted;
use super::entry::{Entry, Part};
use super::format::Unusable;
use super::line::{Broken, Line};
use super::value;

const DEPTH_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// A statement under way.
pub(super) struct Camt053<R: BufRead> {
    reader: Reader<Counted<R>>,
    buffer: Vec<u8>,
    /// The elements that are open, by their local names.
    path: Vec<String>,
    text: String,
    /// The `Ccy` of the element that is open.
    currency: Option<String>,
    is_camt053: bool,
    statement: i32,
    account: String,
    span: Option<(OffsetDateTime, OffsetDateTime)>,
    from: Option<OffsetDateTime>,
    entry: Option<Entry>,
    ready: VecDeque<Result<Line, Broken>>,
}

impl<R: BufRead> Camt053<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            reader: Reader::from_reader(Counted::new(input)),
            buffer: Vec::new(),
            path: Vec::new(),
            text: String::new(),
            currency: None,
            is_camt053: false,
            statement: -1,
            account: String::new(),
            span: None,
            from: None,
            entry: None,
            ready: VecDeque::new(),
        }
    }

    /// The time that the statements say that they cover, as far as it was read.
    pub(super) fn span(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        self.span
    }

    /// The next line, or what is wrong with it; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<Line, Broken>>, Unusable> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if !self.step()? {
                return Ok(None);
            }
        }
    }

    fn line(&mut self) -> u64 {
        self.reader.get_mut().line()
    }

    fn wrong(&mut self, problem: impl Into<String>) -> Unusable {
        Unusable::Xml {
            line: self.line(),
            problem: problem.into(),
        }
    }

    /// Takes one event in: whether there may be more.
    fn step(&mut self) -> Result<bool, Unusable> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let event = match self.reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(error) => return Err(self.wrong(error.to_string())),
        };
        match event {
            Event::Start(start) => self.open(&start)?,
            Event::Empty(start) => {
                self.open(&start)?;
                self.close()?;
            }
            Event::End(_) => self.close()?,
            Event::Text(text) => self.add(&text.xml10_content())?,
            Event::CData(text) => self.add(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let text = self.resolved(&reference)?;
                self.add(&text)?;
            }
            // Entities that it could declare are never expanded.
            Event::DocType(_) => return Err(self.wrong("it has a DOCTYPE, which is not taken")),
            Event::Eof if !self.is_camt053 => {
                let problem = "it is no camt.053: it has no BkToCstmrStmt".to_owned();
                return Err(Unusable::Refused(problem));
            }
            Event::Eof if !self.path.is_empty() => {
                let open = self.path.last().cloned().unwrap_or_default();
                return Err(self.wrong(format!("it ends within {open}")));
            }
            Event::Eof => return Ok(false),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
        self.buffer = buffer;
        Ok(true)
    }

    fn resolved(&mut self, reference: &BytesRef<'_>) -> Result<String, Unusable> {
        if let Ok(Some(character)) = reference.resolve_char_ref() {
            return Ok(character.to_string());
        }
        let name = reference.xml10_content();
        let text = quick_xml::escape::resolve_predefined_entity(&name);
        match text {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.wrong(format!("it names the entity {name}, which is not known"))),
        }
    }

    fn add(&mut self, text: &str) -> Result<(), Unusable> {
        if self.text.len().saturating_add(text.len()) > TEXT_BYTES_MAX {
            let element = self.path.last().cloned().unwrap_or_default();
            return Err(self.wrong(format!("{element} is longer than {TEXT_BYTES_MAX} bytes")));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Unusable> {
        if self.path.len() >= DEPTH_MAX {
            return Err(self.wrong(format!("its elements are nested deeper than {DEPTH_MAX}")));
        }
        let name = start.local_name().as_ref().to_owned();
        let currency = start.try_get_attribute("Ccy");
        self.currency = match currency {
            Ok(found) => found.map(|found| found.value.to_string()),
            Err(error) => return Err(self.wrong(error.to_string())),
        };
        self.text.clear();
        match (self.path.len(), name.as_str()) {
            (1, "BkToCstmrStmt") => self.is_camt053 = true,
            (1, other) => {
                let problem = format!("it is no camt.053: it holds {other}, not BkToCstmrStmt");
                return Err(Unusable::Refused(problem));
            }
            (2, "Stmt") => {
                self.statement = self.statement.saturating_add(1);
                self.account.clear();
            }
            (3, "Ntry") => {
                let line = self.line();
                self.entry = Some(Entry::new(line, self.statement, &self.account));
            }
            _ => {}
        }
        if let (Some(entry), "TxDtls") = (&mut self.entry, name.as_str()) {
            entry.parts.push(Part::default());
        }
        self.path.push(name);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unusable> {
        let text = std::mem::take(&mut self.text);
        let currency = self.currency.take();
        let path: Vec<&str> = self.path.iter().skip(3).map(String::as_str).collect();
        match path.as_slice() {
            ["Acct", "Id", "IBAN"] | ["Acct", "Id", "Othr", "Id"] => {
                text.trim().clone_into(&mut self.account);
            }
            ["FrToDt", end @ ("FrDtTm" | "FrDt" | "ToDtTm" | "ToDt")] => {
                let (is_start, is_day) = (end.starts_with("Fr"), !end.ends_with("Tm"));
                self.bound(&text, is_start, is_day)?;
            }
            ["Ntry"] => {
                if let Some(entry) = self.entry.take() {
                    self.ready.extend(entry.lines());
                }
            }
            ["Ntry", within @ ..] => {
                if let Some(entry) = &mut self.entry {
                    entry.take(within, text.trim(), currency.as_deref());
                }
            }
            _ => {}
        }
        self.path.pop();
        Ok(())
    }

    fn bound(&mut self, text: &str, is_start: bool, is_day: bool) -> Result<(), Unusable> {
        let read = value::time("FrToDt", text);
        let time = match read {
            Ok(time) => time,
            Err(problem) => return Err(self.wrong(problem)),
        };
        if is_start {
            self.from = Some(time);
            return Ok(());
        }
        let to = if is_day {
            time.saturating_add(Duration::DAY)
        } else {
            time
        };
        if let Some(from) = self.from.take().filter(|from| *from <= to) {
            let (first, last) = self.span.unwrap_or((from, to));
            self.span = Some((first.min(from), last.max(to)));
        }
        Ok(())
    }
}
