//! What can go wrong.

use super::format::Unusable;
use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::payouts::PayoutError;
use crate::postgres::{self, Failure, Undone};

/// Why a statement was not reconciled, or a discrepancy not resolved. Nothing took effect.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The file can't be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A run, or an approval, is at the same wallet's statements.
    #[error(
        "another run or an approval is at the statements of {wallet} now; do this again when it has ended"
    )]
    Busy {
        /// The wallet.
        wallet: String,
    },
    /// A rule says no.
    #[error("{code}: {detail}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// What happened, to which thing, and what to do about it.
        detail: String,
    },
    /// Posting failed.
    #[error(transparent)]
    Post(PostError),
    /// A payout's fee could not be written down.
    #[error(transparent)]
    Payout(#[from] PayoutError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ReconcileError {
    pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
        }
    }
}

impl From<PostError> for ReconcileError {
    fn from(error: PostError) -> Self {
        Self::Post(error)
    }
}

impl From<Rejection> for ReconcileError {
    fn from(rejection: Rejection) -> Self {
        Self::refused(rejection.code.as_str(), rejection.detail)
    }
}

impl Undone for ReconcileError {
    fn is_undone(&self) -> bool {
        let undone = |error: &sqlx::Error| {
            matches!(
                postgres::classify(error),
                Failure::Conflict | Failure::Unique
            )
        };
        match self {
            Self::Database(error) => undone(error),
            Self::Post(PostError::Database(error)) => undone(error),
            Self::Payout(error) => error.is_undone(),
            _ => false,
        }
    }
}
