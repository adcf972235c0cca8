//! The names that a row's fields have, in CSV and in JSON lines.

use std::borrow::Cow;

use crate::cli::exit::Failure;

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Key,
    From,
    To,
    Currency,
    Minor,
    Amount,
    Reference,
    CorrelationId,
    EffectiveAt,
    Metadata,
}

pub(super) const COUNT: usize = 10;

impl Column {
    const ALL: [Self; COUNT] = [
        Self::Key,
        Self::From,
        Self::To,
        Self::Currency,
        Self::Minor,
        Self::Amount,
        Self::Reference,
        Self::CorrelationId,
        Self::EffectiveAt,
        Self::Metadata,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::From => "from",
            Self::To => "to",
            Self::Currency => "currency",
            Self::Minor => "minor",
            Self::Amount => "amount",
            Self::Reference => "reference",
            Self::CorrelationId => "correlation_id",
            Self::EffectiveAt => "effective_at",
            Self::Metadata => "metadata",
        }
    }
}

/// The texts of a row's fields. `None`: not given.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>([Option<Cow<'a, str>>; COUNT]);

impl<'a> Fields<'a> {
    pub(super) fn set(&mut self, column: Column, text: impl Into<Cow<'a, str>>) {
        if let Some(field) = self.0.get_mut(column as usize) {
            *field = Some(text.into());
        }
    }

    pub(super) fn get(&self, column: Column) -> Option<&str> {
        self.0.get(column as usize)?.as_deref()
    }
}

/// Which column stands in which place of a CSV file.
#[derive(Debug)]
pub(super) struct Header(Vec<Column>);

impl Header {
    /// The header of a file whose first line has not been read.
    pub(super) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Reads the names of a header line.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a column that is unknown, missing, or there twice.
    pub(super) fn read(names: &[&str], line: u64) -> Result<Self, Failure> {
        let wrong = |problem: String| {
            Failure::Usage(format!(
                "line {line}: {problem}; the header needs the columns key, from, to, currency and \
                 either minor or amount, and may have reference, correlation_id, effective_at and \
                 metadata"
            ))
        };
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = Column::ALL
                .into_iter()
                .find(|column| column.name() == *name)
                .ok_or_else(|| wrong(unknown(name)))?;
            if columns.contains(&column) {
                return Err(wrong(format!("the column {name:?} is there twice")));
            }
            columns.push(column);
        }
        let there = |column| columns.contains(&column);
        for column in [Column::Key, Column::From, Column::To, Column::Currency] {
            if !there(column) {
                return Err(wrong(format!("the column {:?} is missing", column.name())));
            }
        }
        match (there(Column::Minor), there(Column::Amount)) {
            (true, true) => Err(wrong("both minor and amount are there".to_owned())),
            (false, false) => Err(wrong("neither minor nor amount is there".to_owned())),
            _ => Ok(Self(columns)),
        }
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.0
    }

    pub(super) fn place_of(&self, column: Column) -> Option<usize> {
        self.0.iter().position(|one| *one == column)
    }
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    let hint = if name.contains([';', '\t']) {
        " (columns are separated by commas)"
    } else {
        ""
    };
    format!("the column {shown:?} is unknown{hint}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_have_its_columns_in_any_order() {
        let header = Header::read(&["amount", "to", "from", "currency", "key"], 1).unwrap();
        assert_eq!(header.place_of(Column::Key), Some(4));
        assert_eq!(header.place_of(Column::Minor), None);
    }

    #[test]
    fn a_header_that_cannot_be_used_is_refused_by_column() {
        let cases: [(&[&str], &str); 6] = [
            (&["from", "to", "currency", "minor"], "\"key\" is missing"),
            (
                &["key", "from", "to", "currency"],
                "neither minor nor amount",
            ),
            (
                &["key", "from", "to", "currency", "minor", "amount"],
                "both minor and amount",
            ),
            (
                &["key", "key", "from", "to", "currency", "minor"],
                "\"key\" is there twice",
            ),
            (
                &["key", "from", "to", "currency", "minor", "memo"],
                "\"memo\" is unknown",
            ),
            (&["key;from;to"], "separated by commas"),
        ];
        for (names, expected) in cases {
            let message = Header::read(names, 7).unwrap_err().to_string();
            assert!(message.starts_with("line 7: "), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }
}
