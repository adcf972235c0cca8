//! Why something could not be settled.

use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::postgres::{Undone, is_outage};
use crate::terms::BeyondCalendar;

/// An error. Nothing took effect, or, after a lost connection, all of it.
#[derive(Debug, thiserror::Error)]
pub enum SettlementError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The money could not be moved.
    #[error("the settlement can't be posted: {0}")]
    Post(#[from] PostError),
    /// The ledger says no: a wallet is frozen, or holds less than its payments say.
    #[error("the ledger does not take the settlement ({0}); see to the wallet, then run it again")]
    Refused(Rejection),
    /// The sums leave the range of amounts.
    #[error("the sums of the period leave the range of amounts; settle it by hand")]
    TooLarge,
    /// The reserve's time is beyond the calendar.
    #[error("the reserve would be released on no day: {0}")]
    Calendar(#[from] BeyondCalendar),
}

impl SettlementError {
    /// Whether the database is away, so that another period is of no use now.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => is_outage(error),
            Self::Post(error) => error.is_outage(),
            Self::Refused(_) | Self::TooLarge | Self::Calendar(_) => false,
        }
    }
}

impl Undone for SettlementError {
    fn is_undone(&self) -> bool {
        match self {
            Self::Database(error) => error.is_undone(),
            Self::Post(PostError::Database(error)) => error.is_undone(),
            _ => false,
        }
    }
}
