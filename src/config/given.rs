//! A value as it was given, before its key has judged it.

use super::secret::MASK;

/// What a file, an environment variable or a flag gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// Nothing: `key:` in a file, `KEY=` in the environment.
    Empty,
    Boolean(bool),
    Integer(i128),
    /// A number with a fraction, as it was written.
    Decimal(String),
    Text(String),
    List,
    /// A mapping where a value belongs.
    Section,
    /// `!something` of YAML.
    Tagged,
    /// Bytes that are no text.
    NotUtf8,
}

impl Given {
    /// A text; the empty one counts as nothing.
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        match text.is_empty() {
            true => Self::Empty,
            false => Self::Text(text),
        }
    }

    /// An environment variable or a flag, which know texts only: digits are an integer to a
    /// key that takes one, and a text to any other.
    pub(super) fn untyped(text: &str, integer_wanted: bool) -> Self {
        match text.parse() {
            Ok(integer) if integer_wanted => Self::Integer(integer),
            _ => Self::text(text),
        }
    }

    /// The value in words, for an error.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Empty => "empty".to_owned(),
            Self::Boolean(value) => format!("the boolean {value}"),
            Self::Integer(value) => format!("the integer {value}"),
            Self::Decimal(value) => format!("the number {value}"),
            // Somebody may have put an address with a password where it does not belong.
            Self::Text(text) if text.contains('@') => format!("{MASK} (not shown: it has an @)"),
            Self::Text(text) => format!("{text:?}"),
            Self::List => "a list".to_owned(),
            Self::Section => "a section".to_owned(),
            Self::Tagged => "a value with a tag".to_owned(),
            Self::NotUtf8 => "not UTF-8 text".to_owned(),
        }
    }
}
