//! A list that somebody wrote: CSV with the columns `merchant`, `currency`, `minor` or `amount`, and
//! `reference`. All that is wrong with it is named by line before anything is done.

use std::fs::File;
use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder, Trim};

use crate::cli::amount::{self, Unread};
use crate::cli::exit::Failure;
use crate::ledger::Currency;
use crate::payout_runs::{Entry, EntryProblem, ITEMS_MAX, List};

/// The problems that are named.
const PROBLEMS_MAX: usize = 100;
/// More than the longest list takes.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
const COLUMNS: [&str; 5] = ["merchant", "currency", "minor", "amount", "reference"];

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What can be read, in order.
    pub(super) entries: Vec<Entry>,
    /// The line of each.
    lines: Vec<u64>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    line: u64,
    told: String,
}

impl Written {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it can't be opened or read, or its header can't be used.
    pub(super) fn read(path: &str) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| {
            Failure::Usage(format!("{path} can't be read: {error}; nothing was done"))
        };
        match path {
            "-" => Self::of(&all(io::stdin().lock()).map_err(unreadable)?),
            path => {
                let file = File::open(path).map_err(unreadable)?;
                Self::of(&all(file).map_err(unreadable)?)
            }
        }
    }

    fn of(input: &[u8]) -> Result<Self, Failure> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .from_reader(input);
        let unreadable = |error: csv::Error| {
            Failure::Usage(format!("the list can't be read: {error}; nothing was done"))
        };
        let header = reader.byte_headers().map_err(unreadable)?.clone();
        let header = Header::read(&header)?;
        let mut written = Self::default();
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(unreadable)? {
            if written.entries.len() >= ITEMS_MAX {
                let told = format!("the list has more than {ITEMS_MAX} payouts: split it");
                return Err(Failure::Usage(told));
            }
            let line = record.position().map_or(0, |at| line_of(input, at));
            match header.entry(&record) {
                Ok(entry) => {
                    written.entries.push(entry);
                    written.lines.push(line);
                }
                Err(problems) => {
                    let problems = problems.into_iter().map(|told| Problem { line, told });
                    written.problems.extend(problems);
                }
            }
        }
        Ok(written)
    }

    /// The list, where every line of it can be read, and goes with the others.
    ///
    /// # Errors
    /// [`Failure::Usage`] with all problems by line, of which `refusals` are some already.
    pub(super) fn list(mut self, refusals: Vec<EntryProblem>) -> Result<List, Failure> {
        let list = List::written(&self.entries);
        let is_readable = self.problems.is_empty();
        let (list, of_list) = match list {
            Ok(list) => (Some(list), Vec::new()),
            // What is wrong with its lines is why nothing is left of it.
            Err(_) if self.entries.is_empty() && !is_readable => (None, Vec::new()),
            Err(problems) => (None, problems),
        };
        // What the ledger says no to, and nothing else, is a rule's no.
        let rule = match (is_readable && of_list.is_empty(), refusals.as_slice()) {
            (true, [first, rest @ ..]) => {
                let is_one = rest.iter().all(|problem| problem.code == first.code);
                Some(if is_one { first.code } else { "list_refused" })
            }
            _ => None,
        };
        for problem in of_list.into_iter().chain(refusals) {
            let line = self.lines.get(problem.index).copied().unwrap_or(1);
            let told = format!("{}: {}", problem.field, problem.problem);
            self.problems.push(Problem { line, told });
        }
        match (list, self.problems.is_empty()) {
            (Some(list), true) => Ok(list),
            _ => Err(self.failure(rule)),
        }
    }

    fn failure(mut self, rule: Option<&'static str>) -> Failure {
        self.problems.sort_by_key(|problem| problem.line);
        let count = self.problems.len();
        let mut told = match count {
            1 => "the list has a problem, and nothing was done".to_owned(),
            count => format!("the list has {count} problems, and nothing was done"),
        };
        for problem in self.problems.iter().take(PROBLEMS_MAX) {
            told.push_str(&format!("\n  line {}: {}", problem.line, problem.told));
        }
        let more = count.saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            told.push_str(&format!("\n  and {more} more"));
        }
        match rule {
            Some(code) => Failure::Rejected { code, detail: told },
            None => Failure::Usage(told),
        }
    }
}

/// All of an input, of a size that a list may have.
fn all(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(BYTES_MAX).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length < BYTES_MAX => Ok(bytes),
        _ => Err(io::Error::other(format!(
            "it has {BYTES_MAX} bytes or more"
        ))),
    }
}

/// The line on which a record begins: empty lines before it are passed over.
fn line_of(input: &[u8], at: &csv::Position) -> u64 {
    let rest = usize::try_from(at.byte())
        .ok()
        .and_then(|at| input.get(at..));
    let ends = rest.unwrap_or_default().iter();
    let empty = ends
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .filter(|byte| **byte == b'\n')
        .count();
    at.line().saturating_add(empty as u64)
}

/// Which column stands where.
struct Header {
    names: usize,
    places: [Option<usize>; COLUMNS.len()],
}

impl Header {
    fn read(names: &ByteRecord) -> Result<Self, Failure> {
        let wrong = |problem: String| {
            Failure::Usage(format!(
                "line 1: {problem}; the header needs the columns merchant, currency and either \
                 minor or amount, and may have reference"
            ))
        };
        let mut places = [None; COLUMNS.len()];
        for (place, name) in names.iter().enumerate() {
            let name: String = String::from_utf8_lossy(name).chars().take(64).collect();
            let column = COLUMNS.iter().position(|column| *column == name);
            let hint = match name.contains([';', '\t']) {
                true => " (columns are separated by commas)",
                false => "",
            };
            let column =
                column.ok_or_else(|| wrong(format!("the column {name:?} is unknown{hint}")))?;
            if let Some(slot) = places.get_mut(column)
                && slot.replace(place).is_some()
            {
                return Err(wrong(format!("the column {name:?} is there twice")));
            }
        }
        let header = Self {
            names: names.len(),
            places,
        };
        for name in ["merchant", "currency"] {
            if header.place(name).is_none() {
                return Err(wrong(format!("the column {name:?} is missing")));
            }
        }
        match (header.place("minor"), header.place("amount")) {
            (Some(_), Some(_)) => Err(wrong("both minor and amount are there".to_owned())),
            (None, None) => Err(wrong("neither minor nor amount is there".to_owned())),
            _ => Ok(header),
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let column = COLUMNS.iter().position(|column| *column == name)?;
        self.places.get(column).copied().flatten()
    }

    fn entry(&self, record: &ByteRecord) -> Result<Entry, Vec<String>> {
        if record.len() != self.names {
            let told = format!("has {} fields, the header {}", record.len(), self.names);
            return Err(vec![told]);
        }
        let mut problems = Vec::new();
        let mut noted = |result: Result<Option<String>, String>| {
            result.unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let merchant = noted(self.required(record, "merchant"));
        let currency = noted(self.required(record, "currency"));
        let reference = noted(self.text(record, "reference"));
        let (column, text) = match self.place("minor") {
            Some(_) => ("minor", noted(self.required(record, "minor"))),
            None => ("amount", noted(self.required(record, "amount"))),
        };
        let merchant = merchant.and_then(|text| {
            let parsed = text.parse();
            parsed
                .map_err(|problem: String| problems.push(format!("merchant: {text:?} {problem}")))
                .ok()
        });
        let known = currency.as_deref().and_then(Currency::from_code);
        if let (Some(text), None) = (&currency, known) {
            problems.push(format!(
                "currency: {text:?} is not a currency of ISO 4217: write three upper-case letters"
            ));
        }
        let minor = match (text, known) {
            (Some(text), _) if column == "minor" => Some(amount::read_minor(&text)),
            (Some(text), Some(currency)) => Some(amount::read(&text, currency.code())),
            _ => None,
        };
        let minor = minor.and_then(|read| match read {
            Ok(minor) => Some(minor),
            Err(Unread::Ambiguous(field) | Unread::Field(field)) => {
                problems.push(format!("{}: {}", field.field, field.problem));
                None
            }
            Err(Unread::Rule(rejection)) => {
                problems.push(rejection.detail);
                None
            }
        });
        match (merchant, known, minor, problems.is_empty()) {
            (Some(merchant), Some(currency), Some(amount), true) => Ok(Entry {
                merchant,
                currency,
                amount,
                reference,
            }),
            _ => Err(problems),
        }
    }

    /// A field's text; `None` where it is empty, or there is no such column.
    fn text(&self, record: &ByteRecord, name: &str) -> Result<Option<String>, String> {
        let field = self.place(name).and_then(|place| record.get(place));
        let text = field.map(std::str::from_utf8).transpose();
        let text = text.map_err(|_| format!("{name}: is not UTF-8 text"))?;
        Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    fn required(&self, record: &ByteRecord, name: &str) -> Result<Option<String>, String> {
        let text = self.text(record, name)?;
        text.map_or_else(|| Err(format!("{name}: is missing")), |text| Ok(Some(text)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<List, Failure> {
        Written::of(text.as_bytes())?.list(Vec::new())
    }

    #[test]
    fn minor_units_and_amounts_make_the_same_list() {
        let minor = read("merchant,currency,minor\nacme,NGN,125000\nbolt,NGN,1\n").unwrap();
        let amount = read(
            "\u{feff}amount,merchant,currency,reference\r\n1250.00,acme,NGN,\r\n\r\n0.01, bolt ,NGN,\r\n",
        );
        assert_eq!(minor, amount.unwrap());
        assert_eq!((minor.count(), minor.total()), (2, 125_001));
    }

    #[test]
    fn all_problems_of_a_list_are_named_by_line() {
        let text = "\u{feff}merchant,currency,amount,reference\n\
                    acme,NGN,1250.00,ok\n\
                    Acme,NGN,10.00,\n\
                    bolt,NGX,1,\n\
                    \n\
                    bolt,NGN,1250,\n\
                    cola,NGN,,\n\
                    cola,NGN,1.00\n\
                    acme,NGN,-1.00,two\n\
                    dell,KES,1.00,\n";
        let Err(Failure::Usage(told)) = read(text) else {
            unreachable!("it is refused");
        };
        for (line, word) in [
            (3, "merchant: \"Acme\""),
            (4, "currency: \"NGX\""),
            (6, "amount"),
            (7, "amount: is missing"),
            (8, "has 3 fields, the header 4"),
            (9, "amount: is -100"),
            (10, "a run has one currency"),
        ] {
            let named = told.lines().find(|l| l.contains(&format!("line {line}: ")));
            assert!(
                named.is_some_and(|l| l.contains(word)),
                "line {line}: {told}"
            );
        }
        assert!(told.starts_with("the list has 7 problems"), "{told}");
    }

    #[test]
    fn a_header_that_can_not_be_used_is_refused() {
        for (header, word) in [
            ("merchant,minor", "\"currency\" is missing"),
            ("merchant,currency", "neither minor nor amount"),
            ("merchant,currency,minor,amount", "both minor and amount"),
            ("merchant,currency,minor,minor", "there twice"),
            ("merchant;currency;minor", "separated by commas"),
            ("", "is missing"),
        ] {
            let Err(Failure::Usage(told)) = read(header) else {
                unreachable!("{header} is refused");
            };
            assert!(told.contains(word), "{told}");
        }
        let Err(Failure::Usage(told)) = read("merchant,currency,minor\n") else {
            unreachable!("an empty list is refused");
        };
        assert!(told.contains("nobody to pay"), "{told}");
    }
}
