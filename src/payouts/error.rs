//! Why nothing came of it.

use uuid::Uuid;

use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::postgres::{Failure, Undone, classify, is_away, is_outage};

/// Why a payout was not looked after. A rule's no is no error.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// The database failed. After a lost connection at the COMMIT it may have taken effect: the same
    /// key, or the payout itself, tells.
    #[error("payouts can't be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// Nothing was posted.
    #[error("a payout's money can't be moved: {0}")]
    Post(#[from] PostError),
    /// There is no such payout.
    #[error("there is no payout {0}: list them with `aegisctl payout list`")]
    NotFound(Uuid),
    /// The ledger refuses the movement that a payout's state asks for, as with a frozen wallet. It is
    /// tried again.
    #[error("the ledger refuses to book payout {id}: {rejection}; it stays as it is meanwhile")]
    Refused {
        /// Which payout.
        id: Uuid,
        /// Why.
        rejection: Rejection,
    },
    /// An event can't be written as JSON.
    #[error("an event of a payout can't be written: {0}")]
    Event(#[from] serde_json::Error),
}

impl Undone for PayoutError {
    fn is_undone(&self) -> bool {
        match self {
            Self::Database(error) => error.is_undone(),
            Self::Post(PostError::Database(error)) => {
                matches!(classify(error), Failure::Conflict | Failure::Unique)
            }
            _ => false,
        }
    }
}

impl PayoutError {
    /// Whether it is no more than that the database is away: that is told once, by whoever watches it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(error) => is_away(error),
            Self::Post(error) => error.is_away(),
            _ => false,
        }
    }

    /// Whether the database is away, so that trying something else is of no use now.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => is_outage(error),
            Self::Post(error) => error.is_outage(),
            Self::NotFound(_) | Self::Refused { .. } | Self::Event(_) => false,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let passes = |error: &sqlx::Error| !matches!(classify(error), Failure::Permanent);
        match self {
            Self::Database(error) => passes(error),
            Self::Post(PostError::Database(error)) => passes(error),
            Self::Post(error) => error.is_transient(),
            Self::NotFound(_) | Self::Refused { .. } | Self::Event(_) => false,
        }
    }
}
