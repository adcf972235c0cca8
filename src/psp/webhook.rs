//! What a provider tells by itself.

use super::{Dispute, Payment, Refund, Transfer};

/// One event, signed by the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The same whenever the event is sent again: (provider, id) is unique.
    pub id: String,
    /// In the provider's words: `charge.success`.
    pub kind: String,
    /// What it is about.
    pub subject: Subject,
}

/// What an event is about, as it stood then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A payment.
    Payment(Payment),
    /// A transfer.
    Transfer(Transfer),
    /// A refund.
    Refund(Refund),
    /// A dispute.
    Dispute(Dispute),
    /// Something that Aegis has no use for.
    Other,
}

impl Subject {
    /// The caller's name for it, or for the payment that it belongs to.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Payment(payment) => Some(&payment.reference),
            Self::Transfer(transfer) => Some(&transfer.reference),
            Self::Refund(refund) => refund.payment_reference.as_deref(),
            Self::Dispute(dispute) => Some(&dispute.payment_reference),
            Self::Other => None,
        }
    }
}

/// Why a webhook is not taken. None of them tells what was in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It carries no signature.
    #[error("the webhook is not signed")]
    Unsigned,
    /// Its signature is not the provider's, or its bytes were changed.
    #[error("the webhook's signature is not the PSP's")]
    Forged,
    /// The provider signed it, and it can't be read: keep it for a person to look at.
    #[error("the webhook is signed and can't be read: {reason}")]
    Unreadable {
        /// Made of its bytes, so that the same one again has the same.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl WebhookError {
    /// Whether somebody else than the provider may have sent it.
    #[must_use]
    pub const fn is_unauthentic(&self) -> bool {
        matches!(self, Self::Unsigned | Self::Forged)
    }
}
