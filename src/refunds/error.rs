//! Why nothing came of it.

use uuid::Uuid;

use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::postgres::{Failure, Undone, classify, is_away, is_outage};
use crate::psp::PspError;

/// Why a refund or dispute was not looked after. A rule's no is no error.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// The database failed. After a lost connection at the COMMIT it may have taken effect: the same
    /// key, or the refund itself, tells.
    #[error("refunds can't be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// Nothing was posted.
    #[error("a refund's money can't be moved: {0}")]
    Post(#[from] PostError),
    /// There is no such refund.
    #[error("there is no refund {0}: list them with `aegisctl refund list`")]
    NotFound(Uuid),
    /// There is no such payment.
    #[error("there is no payment {0}: list them with `aegisctl payment list`")]
    PaymentNotFound(Uuid),
    /// The PSP tells of money that went back before it told that it had come: tried again.
    #[error("payment {0} is not paid yet, as far as is known here: what went back of it waits")]
    NotPaid(Uuid),
    /// More went back than is left, unless a refund on its way comes to nothing: tried again.
    #[error(
        "payment {0} has refunds on their way, without which there is room for what the PSP tells \
         of: it waits for their end"
    )]
    UnderWay(Uuid),
    /// The ledger refuses a movement that follows, as with a frozen wallet. It is tried again.
    #[error("the ledger refuses to book refund {id}: {rejection}; it stays as it is meanwhile")]
    Refused {
        /// Which refund.
        id: Uuid,
        /// Why.
        rejection: Rejection,
    },
    /// The shares of a payment do not add up: its row and its refunds disagree.
    #[error("the shares of payment {0} can't be computed: its refunds don't agree with its row")]
    Shares(Uuid),
    /// An event can't be written as JSON.
    #[error("an event of a refund can't be written: {0}")]
    Event(#[from] serde_json::Error),
    /// The PSP did not answer a question.
    #[error("the PSP was asked and did not answer: {0}; ask again later")]
    Psp(#[from] PspError),
}

impl RefundError {
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
            _ => false,
        }
    }
}

impl Undone for RefundError {
    fn is_undone(&self) -> bool {
        let undone =
            |error: &sqlx::Error| matches!(classify(error), Failure::Conflict | Failure::Unique);
        match self {
            Self::Database(error) => undone(error),
            Self::Post(PostError::Database(error)) => undone(error),
            _ => false,
        }
    }
}
