//! A row of the input: a command to post, or what is wrong with it.

use super::columns::{Column, Fields};
use crate::cli::amount::{self, Unread};
use crate::ledger::{Command, Details, IdempotencyKey, InvalidField, Rejection};

/// A row of the input.
#[derive(Debug)]
pub(super) struct Row {
    /// The line on which it begins, counted from 1.
    pub(super) line: u64,
    /// Its key as far as it could be read.
    pub(super) key: Option<String>,
    /// What it asks for.
    pub(super) asked: Asked,
}

/// What a row asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// A transfer.
    Post(Box<Command>),
    /// Something that a rule refuses without a look at the ledger.
    Refused(Rejection),
    /// Something that can't be read.
    Unreadable(Problem),
}

/// Why a row can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Stable code.
    pub(super) code: &'static str,
    /// Which field, what is wrong with it, and what to write instead.
    pub(super) detail: String,
}

impl Problem {
    /// The record as a whole is not what the format asks for.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self {
            code: "record_malformed",
            detail: detail.into(),
        }
    }

    /// The record is longer than what is held in memory.
    pub(super) fn too_long(bytes_max: usize) -> Self {
        Self {
            code: "record_too_long",
            detail: format!("is longer than {bytes_max} bytes"),
        }
    }

    /// A quote is still open after so many bytes, or at the end of the input.
    pub(super) fn unclosed_quote(bytes_max: Option<usize>) -> Self {
        let never = "a quote is opened on this line and never closed";
        Self::malformed(match bytes_max {
            Some(bytes_max) => format!("{never} within {bytes_max} bytes"),
            None => never.to_owned(),
        })
    }

    /// Says over how many lines the record runs, where it is more than one: a quote that is not
    /// closed takes the lines behind it along.
    pub(super) fn over_lines(mut self, lines: u64) -> Self {
        if lines > 1 {
            let hint = format!("; the record runs over {lines} lines: is a quote not closed?");
            self.detail.push_str(&hint);
        }
        self
    }

    /// Bytes that are no text.
    pub(super) fn not_utf8(what: &str) -> Self {
        Self {
            code: "not_utf8",
            detail: format!("{what}: is not UTF-8 text"),
        }
    }

    fn missing(column: Column) -> Self {
        Self {
            code: "field_missing",
            detail: format!("{}: is missing", column.name()),
        }
    }

    /// A field can't be taken as it is.
    pub(super) fn field(field: &InvalidField) -> Self {
        Self {
            code: "field_invalid",
            detail: field.to_string(),
        }
    }
}

enum Refusal {
    Rule(Rejection),
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<InvalidField> for Refusal {
    fn from(field: InvalidField) -> Self {
        Self::Problem(Problem::field(&field))
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Rule(rejection) => Self::Rule(rejection),
            Unread::Ambiguous(field) => Self::Problem(Problem {
                code: "amount_ambiguous",
                detail: field.to_string(),
            }),
            Unread::Field(field) => field.into(),
        }
    }
}

impl Row {
    /// The row of these fields.
    pub(super) fn of(line: u64, fields: &Fields<'_>) -> Self {
        let asked = match command(fields) {
            Ok(command) => Asked::Post(Box::new(command)),
            Err(Refusal::Rule(rejection)) => Asked::Refused(rejection),
            Err(Refusal::Problem(problem)) => Asked::Unreadable(problem),
        };
        Self {
            line,
            key: fields.get(Column::Key).and_then(shown_key),
            asked,
        }
    }

    /// The row, with the [lines](Problem::over_lines) it runs over told if it can't be read.
    pub(super) fn over_lines(mut self, lines: u64) -> Self {
        if let Asked::Unreadable(problem) = self.asked {
            self.asked = Asked::Unreadable(problem.over_lines(lines));
        }
        self
    }

    /// A row whose fields can't be told apart.
    pub(super) fn unreadable(line: u64, key: Option<&str>, problem: Problem) -> Self {
        Self {
            line,
            key: key.and_then(shown_key),
            asked: Asked::Unreadable(problem),
        }
    }
}

/// CSV can't tell an empty key from none.
fn shown_key(key: &str) -> Option<String> {
    Some(shown(key)).filter(|key| !key.is_empty())
}

/// A text as outcomes show it: on one line, and not for ever.
fn shown(text: &str) -> String {
    text.chars()
        .take(255)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn command(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let required = |column| fields.get(column).ok_or_else(|| Problem::missing(column));
    let key: IdempotencyKey = parsed(Column::Key, required(Column::Key)?)?;
    let from = parsed(Column::From, required(Column::From)?)?;
    let to = parsed(Column::To, required(Column::To)?)?;
    let currency = required(Column::Currency)?;
    let amount = amount(fields, currency)?;
    Ok(Command::transfer(
        key,
        from,
        to,
        currency,
        amount,
        details(fields)?,
    ))
}

fn parsed<T: std::str::FromStr<Err = String>>(
    column: Column,
    text: &str,
) -> Result<T, InvalidField> {
    text.parse()
        .map_err(|problem: String| InvalidField::new(column.name(), problem))
}

fn amount(fields: &Fields<'_>, currency: &str) -> Result<i64, Refusal> {
    match (fields.get(Column::Minor), fields.get(Column::Amount)) {
        (Some(text), None) => Ok(amount::read_minor(text)?),
        (None, Some(text)) => Ok(amount::read(text, currency)?),
        (Some(_), Some(_)) => {
            Err(InvalidField::new("minor", "stands beside amount: give one of the two").into())
        }
        (None, None) => Err(Problem {
            code: "field_missing",
            detail: "neither minor nor amount is given".to_owned(),
        }
        .into()),
    }
}

fn details(fields: &Fields<'_>) -> Result<Details, InvalidField> {
    let mut details = Details::default();
    if let Some(text) = fields.get(Column::Reference) {
        details = details.with_reference(text)?;
    }
    if let Some(text) = fields.get(Column::CorrelationId) {
        details = details.with_correlation_id(text)?;
    }
    if let Some(text) = fields.get(Column::EffectiveAt) {
        details = details.with_effective_at(text)?;
    }
    if let Some(text) = fields.get(Column::Metadata) {
        details = details.with_metadata(text)?;
    }
    Ok(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(given: &[(Column, &'static str)]) -> Fields<'static> {
        let mut fields = Fields::default();
        let usual = [
            (Column::Key, "k"),
            (Column::From, "a"),
            (Column::To, "b"),
            (Column::Currency, "NGN"),
        ];
        for (column, text) in usual.iter().chain(given) {
            fields.set(*column, *text);
        }
        fields
    }

    fn code(given: &[(Column, &'static str)]) -> &'static str {
        match Row::of(1, &fields(given)).asked {
            Asked::Post(_) => "ok",
            Asked::Refused(rejection) => rejection.code.as_str(),
            Asked::Unreadable(problem) => problem.code,
        }
    }

    #[test]
    fn an_amount_is_read_in_minor_units_or_with_all_decimals() {
        assert_eq!(code(&[(Column::Minor, "5")]), "ok");
        assert_eq!(code(&[(Column::Minor, "-5")]), "ok", "the engine says no");
        assert_eq!(code(&[(Column::Amount, "5.00")]), "ok");
        assert_eq!(code(&[(Column::Amount, "5")]), "amount_ambiguous");
        for text in ["", "5.0", "+5", "1e3", " 5"] {
            assert_eq!(code(&[(Column::Minor, text)]), "field_invalid", "{text}");
        }
        for given in [
            (Column::Minor, "9223372036854775808"),
            (Column::Amount, "92233720368547758.08"),
        ] {
            assert_eq!(code(&[given]), "amount_too_large");
        }
        assert_eq!(code(&[]), "field_missing");
        assert_eq!(
            code(&[(Column::Minor, "5"), (Column::Amount, "5.00")]),
            "field_invalid"
        );
    }

    #[test]
    fn an_unknown_currency_is_a_rules_no_in_both_forms() {
        let unknown = (Column::Currency, "NGX");
        assert_eq!(
            code(&[unknown, (Column::Amount, "5.00")]),
            "currency_unknown"
        );
        // The engine says it, once it has looked at the key.
        assert_eq!(code(&[unknown, (Column::Minor, "5")]), "ok");
    }

    #[test]
    fn a_broken_field_is_named() {
        for (column, text) in [
            (Column::Key, "a\nb"),
            (Column::From, "A B"),
            (Column::EffectiveAt, "yesterday"),
            (Column::Metadata, "[1]"),
            (Column::Metadata, "{"),
            (Column::Metadata, r#"{"a": 1, "a": 2}"#),
            (Column::Metadata, r#"{"a": 18446744073709551616}"#),
        ] {
            let given = fields(&[(Column::Minor, "5"), (column, text)]);
            let Asked::Unreadable(problem) = Row::of(1, &given).asked else {
                unreachable!("{text}")
            };
            assert!(
                problem.detail.starts_with(column.name()),
                "{}",
                problem.detail
            );
        }
    }
}
