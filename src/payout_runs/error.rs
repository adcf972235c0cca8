//! What can go wrong with a run, beside what rules say no to.

use crate::payouts::PayoutError;
use crate::postgres::{Failure, Undone, classify, is_away};

/// Why a run could not be started, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A payout could not be requested or brought on.
    #[error(transparent)]
    Payout(#[from] PayoutError),
    /// The connection that held the run is gone: somebody else may work on it.
    #[error("payout run {key} was let go, since its connection to the database broke: {source}")]
    LetGo {
        /// The run.
        key: String,
        /// What broke it.
        source: sqlx::Error,
    },
}

impl RunError {
    /// Whether it is no more than that the database is away: that is told once, by whoever watches it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(error) => is_away(error),
            Self::LetGo { source, .. } => is_away(source),
            Self::Payout(error) => error.is_away(),
        }
    }
}

impl Undone for RunError {
    fn is_undone(&self) -> bool {
        match self {
            Self::Database(error) => {
                matches!(classify(error), Failure::Conflict | Failure::Unique)
            }
            Self::Payout(error) => error.is_undone(),
            Self::LetGo { .. } => false,
        }
    }
}
