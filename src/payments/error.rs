//! Why something about a payment could not be done.

use uuid::Uuid;

use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::payouts::PayoutError;
use crate::postgres::{Undone, is_away, is_outage};
use crate::psp::PspError;
use crate::refunds::RefundError;
use crate::terms::BeyondCalendar;

/// An error. A rule's no to a request is [`super::Created::Rejected`].
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The money could not be moved.
    #[error("the transactions of payments can't be posted: {0}")]
    Post(#[from] PostError),
    /// The ledger says no to a credit: its wallets are not as the merchant's making left them.
    #[error("the ledger does not take the credit ({0}); see to the wallet, it is tried again")]
    Refused(Rejection),
    /// The terms say no day for it.
    #[error("payment {id} counts for no day: {source}")]
    Calendar {
        /// The payment.
        id: Uuid,
        /// Why not.
        source: BeyondCalendar,
    },
    /// What a webhook says of a payout could not be written down.
    #[error(transparent)]
    Payout(#[from] PayoutError),
    /// What a webhook says of a refund or a dispute could not be written down.
    #[error(transparent)]
    Refund(#[from] RefundError),
    /// The PSP did not answer a question.
    #[error("the PSP was asked and did not answer: {0}; ask again later")]
    Psp(#[from] PspError),
}

impl PaymentError {
    /// Whether it is no more than that the database is away: that is told once, by whoever watches it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(error) => is_away(error),
            Self::Post(error) => error.is_away(),
            Self::Payout(error) => error.is_away(),
            Self::Refund(error) => error.is_away(),
            _ => false,
        }
    }

    /// Tells the log what could not be done for a payment. What is away is told once, by whoever
    /// watches it.
    pub(super) fn tell(&self, message: &'static str, payment: Uuid) {
        let is_left_alone = matches!(self, Self::Psp(PspError::TurnedAway(_)));
        match is_left_alone || self.is_away() {
            true => tracing::debug!(error = %self, %payment, message),
            false => tracing::warn!(error = %self, %payment, message),
        }
    }

    /// Whether the database is away, so that trying something else is of no use now.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => is_outage(error),
            Self::Post(error) => error.is_outage(),
            Self::Payout(error) => error.is_outage(),
            Self::Refund(error) => error.is_outage(),
            Self::Refused(_) | Self::Calendar { .. } | Self::Psp(_) => false,
        }
    }
}

impl Undone for PaymentError {
    fn is_undone(&self) -> bool {
        match self {
            Self::Database(error) => error.is_undone(),
            Self::Post(PostError::Database(error)) => error.is_undone(),
            Self::Payout(error) => error.is_undone(),
            Self::Refund(error) => error.is_undone(),
            _ => false,
        }
    }
}
