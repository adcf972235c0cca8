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

    pub(super) fn cells(&self) -> Vec<Cell> {
        let word = |word: &str, tone| Cell::Word(word.to_owned(), tone);
        let status = match self.status {
            Health::Ok => word("ok", Tone::Good),
            Health::Off => "off".into(),
            Health::Degraded => word("degraded", Tone::Warn),
            Health::Attention => word("attention", Tone::Bad),
            Health::Failed => word("failed", Tone::Bad),
        };
        vec![self.name.into(), status, self.detail.as_str().into()]
    }
}

/// For how long something has been so, in words.
pub(super) fn age(since: OffsetDateTime, now: OffsetDateTime) -> String {
    when::duration((now - since).as_seconds_f64())
}
