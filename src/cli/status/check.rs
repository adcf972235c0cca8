//! One line of the screen.

use serde::Serialize;
use time::OffsetDateTime;

use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Tone};
use crate::cli::when;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    Ok,
    /// Not asked for, or not known while something else is away.
    Off,
    /// Things go on without it, or mend themselves.
    Degraded,
    /// Somebody has to decide or to find out: nothing mends it by itself.
    Attention,
    /// Nothing goes on without it, or something is wrong.
    Failed,
}

impl Health {
    /// How a script should end that saw it.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Ok | Self::Off | Self::Degraded => Exit::Done,
            Self::Attention | Self::Failed => Exit::Found,
        }
    }
}

/// One line of the screen.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub name: &'static str,
    pub status: Health,
    pub detail: String,
}

pub(super) const COLUMNS: &[Column] = &[
    Column::text("name"),
    Column::text("status"),
    Column::text("detail"),
];

impl Check {
    pub(super) fn new(name: &'static str, status: Health, detail: impl Into<String>) -> Self {
        Self {
            name,
            status,
            detail: detail.into(),
        }
    }

    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Health::Ok, detail)
    }

    /// Its rows in a table that is so wide: what is longer goes on in the next.
    pub(super) fn rows(&self, width: Option<usize>) -> Vec<Vec<Cell>> {
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(BESIDE_DETAIL));
        let mut lines = folded(&self.detail, room.max(DETAIL_MIN)).into_iter();
        let first = lines.next().unwrap_or_default();
        let more = lines.map(|line| vec!["".into(), "".into(), line.into()]);
        std::iter::once(self.cells(first)).chain(more).collect()
    }

    fn cells(&self, detail: String) -> Vec<Cell> {
        let word = |word: &str, tone| Cell::Word(word.to_owned(), tone);
        let status = match self.status {
            Health::Ok => word("ok", Tone::Good),
            Health::Off => "off".into(),
            Health::Degraded => word("degraded", Tone::Warn),
            Health::Attention => word("attention", Tone::Bad),
            Health::Failed => word("failed", Tone::Bad),
        };
        vec![self.name.into(), status, detail.into()]
    }
}

/// What a line has beside the detail: the longest name, the longest status, and what stands between
/// and behind the columns.
const BESIDE_DETAIL: usize = 13 + 2 + 9 + 2 + 2;
/// Narrower than that nothing can be read.
const DETAIL_MIN: usize = 20;

/// Breaks a text between words, so that no line is longer than that unless a word is.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let long = |line: &String| {
            let length = line.chars().count().saturating_add(word.chars().count());
            length >= width
        };
        match lines.last_mut() {
            Some(line) if !long(line) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// For how long something has been so, in words.
pub(super) fn age(since: OffsetDateTime, now: OffsetDateTime) -> String {
    when::duration((now - since).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_goes_on_in_the_next_row() {
        assert_eq!(folded("one two three", 7), ["one two", "three"]);
        assert_eq!(folded("one", usize::MAX), ["one"]);
        assert_eq!(folded("a-very-long-word b", 4), ["a-very-long-word", "b"]);
        let check = Check::ok("payment runs", "word ".repeat(20).trim_end());
        assert_eq!(check.rows(None).len(), 1);
        let rows = check.rows(Some(80)).len();
        assert_eq!(rows, 2, "100 characters in 54");
    }
}
