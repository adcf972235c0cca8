//! Records of JSON lines, read one by one in bounded memory.

use std::borrow::Cow;
use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::columns::{Column, Fields};
use super::csv::RECORD_BYTES_MAX;
use super::row::{Problem, Row};
use crate::cli::exit::Failure;
use crate::ledger::InvalidField;

/// A reader of JSON lines.
pub(super) struct JsonLines<R> {
    input: R,
    text: Vec<u8>,
    too_long: bool,
    line: u64,
    position: u64,
}

/// A line's fields as they stand; what kind of JSON they are is looked at field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    from: Option<&'a RawValue>,
    to: Option<&'a RawValue>,
    currency: Option<&'a RawValue>,
    minor: Option<&'a RawValue>,
    amount: Option<&'a RawValue>,
    reference: Option<&'a RawValue>,
    correlation_id: Option<&'a RawValue>,
    effective_at: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
}

impl<R: BufRead> JsonLines<R> {
    /// A reader at the beginning.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an empty input; what the input says.
    pub(super) fn new(mut input: R) -> anyhow::Result<Self> {
        match input.fill_buf()?.first() {
            None => Err(Failure::Usage(
                "the input is empty: every line has to be a JSON object".to_owned(),
            )
            .into()),
            Some(b'[') => Err(Failure::Usage(
                "the input is a JSON array: write one object a line, as `jq -c '.[]'` does"
                    .to_owned(),
            )
            .into()),
            Some(_) => Ok(Self {
                input,
                text: Vec::new(),
                too_long: false,
                line: 0,
                position: 0,
            }),
        }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The line that the present record is.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Goes to the next line that isn't blank: whether there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        while self.read_line()? {
            if self.too_long || !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_line(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.too_long = false;
        let mut any = false;
        loop {
            let input = self.input.fill_buf()?;
            if input.is_empty() {
                self.line = self.line.saturating_add(u64::from(any));
                return Ok(any);
            }
            any = true;
            let end = input.iter().position(|byte| *byte == b'\n');
            let part = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
            if self.text.len().saturating_add(part.len()) > RECORD_BYTES_MAX {
                self.too_long = true;
                self.text.clear();
            }
            if !self.too_long {
                self.text.extend_from_slice(part);
            }
            let read = part.len().saturating_add(usize::from(end.is_some()));
            self.position = self.position.saturating_add(read as u64);
            self.input.consume(read);
            if end.is_some() {
                self.line = self.line.saturating_add(1);
                return Ok(true);
            }
        }
    }

    /// The present record's key, where it can be read.
    pub(super) fn key(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Key {
            key: String,
        }
        serde_json::from_slice(&self.text)
            .ok()
            .map(|Key { key }| key)
    }

    /// The present record as a row.
    pub(super) fn row(&self) -> Row {
        let unreadable = |problem| Row::unreadable(self.line, self.key().as_deref(), problem);
        if self.too_long {
            return unreadable(Problem::too_long(RECORD_BYTES_MAX));
        }
        let Ok(text) = str::from_utf8(&self.text) else {
            return unreadable(Problem::not_utf8("the line"));
        };
        match serde_json::from_str::<Line<'_>>(text) {
            Ok(line) => match fields(&line) {
                Ok(fields) => Row::of(self.line, &fields),
                Err(field) => unreadable(Problem::field(&field)),
            },
            Err(error) => unreadable(Problem::malformed(explained(&error))),
        }
    }
}

/// The parser counts lines within the text that it was given, which is always the first.
fn explained(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((message, _)) => format!("{message} (column {})", error.column()),
        None => message,
    }
}

fn fields<'a>(line: &Line<'a>) -> Result<Fields<'a>, InvalidField> {
    let mut fields = Fields::default();
    let texts = [
        (Column::Key, line.key),
        (Column::From, line.from),
        (Column::To, line.to),
        (Column::Currency, line.currency),
        (Column::Reference, line.reference),
        (Column::CorrelationId, line.correlation_id),
        (Column::EffectiveAt, line.effective_at),
    ];
    for (column, raw) in texts {
        let Some(raw) = raw else { continue };
        let text = text(raw).ok_or_else(|| {
            InvalidField::new(column.name(), "is not a text: write it in double quotes")
        })?;
        fields.set(column, text);
    }
    // A number is taken as it is written, so that 1250.00 keeps its decimals.
    for (column, raw) in [(Column::Minor, line.minor), (Column::Amount, line.amount)] {
        let Some(raw) = raw else { continue };
        let written = match raw.get().as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(raw.get())),
            _ => text(raw),
        };
        let written = written
            .ok_or_else(|| InvalidField::new(column.name(), "is neither a number nor a text"))?;
        fields.set(column, written);
    }
    if let Some(raw) = line.metadata {
        fields.set(Column::Metadata, raw.get());
    }
    Ok(fields)
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<String>(raw.get())
        .ok()
        .map(Cow::Owned)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::super::row::Asked;
    use super::*;

    fn rows(text: &[u8], buffer: usize) -> Vec<(u64, Option<String>, String)> {
        let mut lines = JsonLines::new(io::BufReader::with_capacity(buffer, text)).unwrap();
        let mut rows = Vec::new();
        while lines.advance().unwrap() {
            let row = lines.row();
            let said = match row.asked {
                Asked::Post(_) => "ok".to_owned(),
                Asked::Refused(rejection) => rejection.to_string(),
                Asked::Unreadable(problem) => format!("{}: {}", problem.code, problem.detail),
            };
            rows.push((row.line, row.key, said));
        }
        assert_eq!(lines.position(), text.len() as u64);
        rows
    }

    fn said(fields: &str) -> String {
        let line = format!(r#"{{"key":"k","from":"a","to":"b","currency":"NGN",{fields}}}"#);
        rows(line.as_bytes(), 8_192).pop().unwrap().2
    }

    #[test]
    fn numbers_are_taken_as_they_are_written() {
        for fields in [
            r#""minor":5"#,
            r#""minor":"5""#,
            r#""amount":1250.00"#,
            r#""amount":"1250.00""#,
            r#""minor":5,"amount":null"#,
            r#""minor":5,"metadata":{"a":[1]},"reference":"x""#,
        ] {
            assert_eq!(said(fields), "ok", "{fields}");
        }
        for (fields, expected) in [
            (r#""amount":1250.0"#, "amount_ambiguous: amount: "),
            (r#""minor":5.0"#, "field_invalid: minor: "),
            (r#""minor":true"#, "field_invalid: minor: is neither"),
            (
                r#""minor":5,"reference":7"#,
                "field_invalid: reference: is not a text",
            ),
            (r#""minor":5,"metadata":"{}""#, "field_invalid: metadata: "),
            (
                r#""minor":5,"memo":"x""#,
                "record_malformed: unknown field `memo`",
            ),
            (
                r#""minor":5,"minor":5"#,
                "record_malformed: duplicate field `minor`",
            ),
            (
                r#""minor":5,"amount":"5.00""#,
                "field_invalid: minor: stands beside amount",
            ),
        ] {
            assert!(
                said(fields).starts_with(expected),
                "{fields}: {}",
                said(fields)
            );
        }
    }

    #[test]
    fn a_broken_line_leaves_the_others_alone() {
        let good = r#"{"key":"k","from":"a","to":"b","currency":"NGN","minor":5}"#;
        let long = format!(r#"{{"key":"{}"}}"#, "x".repeat(2 * RECORD_BYTES_MAX));
        let mut text = format!("{good}\r\n\n{{\"key\":\n{long}\n\"\n").into_bytes();
        text.extend_from_slice(b"\xff\n");
        text.extend_from_slice(good.as_bytes());
        for buffer in [1, 8_192] {
            let rows = rows(&text, buffer);
            let codes: Vec<(u64, &str)> = rows
                .iter()
                .map(|(line, _, said)| (*line, said.split(':').next().unwrap()))
                .collect();
            let expected = [
                (1, "ok"),
                (3, "record_malformed"),
                (4, "record_too_long"),
                (5, "record_malformed"),
                (6, "not_utf8"),
                (7, "ok"),
            ];
            assert_eq!(codes, expected);
        }
    }
}
