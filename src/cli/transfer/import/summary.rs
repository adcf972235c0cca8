//! What came of an import, counted.

use std::fmt;

use serde::Serialize;

use super::outcomes::Status;
use crate::cli::output::{Cell, Column, Record};
use crate::cli::progress::grouped;
use crate::cli::when;

/// Counts of rows. After `--resume` they are those of the whole file; the seconds are this run's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Rows that have an outcome.
    pub(super) read: u64,
    pub(super) posted: u64,
    pub(super) replayed: u64,
    pub(super) rejected: u64,
    pub(super) invalid: u64,
    /// How long it took.
    pub(super) seconds: f64,
}

impl Summary {
    pub(super) fn count(&mut self, status: Status) {
        let count = match status {
            Status::Posted => &mut self.posted,
            Status::Replayed => &mut self.replayed,
            Status::Rejected => &mut self.rejected,
            Status::Invalid => &mut self.invalid,
        };
        *count = count.saturating_add(1);
        self.read = self.read.saturating_add(1);
    }

    pub(super) fn all_took_effect(&self) -> bool {
        self.rejected == 0 && self.invalid == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows in {}: {} posted, {} replayed, {} rejected, {} invalid",
            grouped(self.read),
            when::duration(self.seconds),
            grouped(self.posted),
            grouped(self.replayed),
            grouped(self.rejected),
            grouped(self.invalid)
        )
    }
}

impl Record for Summary {
    const COLUMNS: &'static [Column] = &[
        Column::number("read"),
        Column::number("posted"),
        Column::number("replayed"),
        Column::number("rejected"),
        Column::number("invalid"),
        Column::number("seconds"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let number = |count: u64| Cell::Number(i128::from(count));
        vec![
            number(self.read),
            number(self.posted),
            number(self.replayed),
            number(self.rejected),
            number(self.invalid),
            self.seconds.to_string().into(),
        ]
    }
}
