//! Payout runs: a list of payouts under a key, which cron may start twice.
//!
//! ```text
//!  what is due ─┐            over a limit
//!               ├─► frozen ─┬───────────► waiting ──approve──┐
//!  a list ──────┘           │                │               ▼
//!                           └────────────────│──────────► running ─► finished
//!                                            └─► cancelled ◄─┘
//! ```
//!
//! The list is frozen before the first payment: its items are rows, counted, summed up and hashed,
//! and the key is taken for ever. Each item becomes a payout in the COMMIT that marks it, under a key
//! of the program's own (`payout_run:<key>:<number>`), so that whatever stops a run, and whoever goes
//! on with it, nobody is paid twice. Whoever works on a run holds its lock over a connection of its
//! own; the lock spares work, the rows decide.

mod check;
mod decide;
mod drive;
pub mod due;
mod error;
mod freeze;
mod list;
mod news;
mod worker;

use std::fmt;
use std::str::FromStr;

pub use check::refusals;
pub use decide::{
    Decided, approval_by, approval_missing, approve, cancel, cancelled, not_found, resume,
};
pub use drive::{Desk, Ending, Held, Notice, Pace, drive};
pub use error::RunError;
pub use freeze::{Limits, Start, Started, Wanted, start};
pub use list::{Entry, EntryProblem, ITEMS_MAX, List};
pub use worker::Worker;

/// Why a rule says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, for programs.
    pub code: &'static str,
    /// What happened, to which run, and what to do about it.
    pub detail: String,
}

impl Refusal {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// The key of a run: 1 to 128 of letters, digits, `.`, `_`, `-` and `:`, such as
/// `2026-11-22-evening`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunKey(String);

impl RunKey {
    const CHARS_MAX: usize = 128;

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
        match (1..=Self::CHARS_MAX).contains(&text.len()) && text.bytes().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "is no key of a payout run: write 1 to {} letters, digits, '.', '_', '-' and ':', \
                 such as 2026-11-22-evening",
                Self::CHARS_MAX
            )),
        }
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_can_stand_in_a_path() {
        for right in ["2026-11-22-evening", "a", "NGN:2026.11_1"] {
            assert!(right.parse::<RunKey>().is_ok(), "{right}");
        }
        for wrong in ["", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
            assert!(wrong.parse::<RunKey>().is_err(), "{wrong:?}");
        }
    }
}
