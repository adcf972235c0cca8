//! The provider's objects.

use time::OffsetDateTime;

use crate::ledger::Currency;
use crate::psp::{DisputeStatus, PaymentStatus, RefundStatus, TransferStatus};

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Its number.
    pub id: u64,
    /// The caller's name for it.
    pub reference: String,
    /// The customer's address.
    pub email: String,
    /// What was asked for.
    pub requested_amount: i64,
    /// What was paid; before that, what was asked for.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// How it stands. Until the customer has paid it is abandoned, as at Paystack.
    pub status: PaymentStatus,
    /// What was charged for it.
    pub fee: Option<i64>,
    /// What was or is being refunded of it, or charged back.
    pub given_back: i64,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it was paid.
    pub paid_at: Option<OffsetDateTime>,
    /// Where the customer goes afterwards.
    pub callback_url: Option<String>,
    /// Handed through, as it came.
    pub metadata: serde_json::Value,
}

/// An account that transfers go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRecord {
    /// Its number.
    pub id: u64,
    /// What transfers name it by.
    pub code: String,
    /// `nuban` and so on.
    pub kind: String,
    /// Whose it is.
    pub name: String,
    /// The account, or the card's code.
    pub account: String,
    /// The bank; none with a card.
    pub bank_code: Option<String>,
    /// Its currency.
    pub currency: Currency,
    /// When it was made known.
    pub created_at: OffsetDateTime,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRecord {
    /// Its number.
    pub id: u64,
    /// The provider's code.
    pub code: String,
    /// The caller's name for it.
    pub reference: String,
    /// What the recipient gets.
    pub amount: i64,
    /// What was charged for it.
    pub fee: i64,
    /// In which currency.
    pub currency: Currency,
    /// [`RecipientRecord::code`].
    pub recipient: String,
    /// What the recipient reads.
    pub reason: Option<String>,
    /// How it stands.
    pub status: TransferStatus,
    /// When it was begun.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRecord {
    /// Its number.
    pub id: u64,
    /// The payment's number.
    pub payment_id: u64,
    /// The payment's reference.
    pub payment_reference: String,
    /// How much.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// How it stands.
    pub status: RefundStatus,
    /// For the customer.
    pub customer_note: Option<String>,
    /// For the merchant.
    pub merchant_note: Option<String>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeRecord {
    /// Its number.
    pub id: u64,
    /// The payment's reference.
    pub payment_reference: String,
    /// What is at stake.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// How it stands.
    pub status: DisputeStatus,
    /// How it ended.
    pub resolution: Option<&'static str>,
    /// When it began.
    pub created_at: OffsetDateTime,
}

/// What a webhook tells of: the event's kind, and the object as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A payment was paid.
    Payment(&'static str, PaymentRecord),
    /// A transfer ended.
    Transfer(&'static str, TransferRecord, RecipientRecord),
    /// A refund changed.
    Refund(&'static str, RefundRecord),
    /// A dispute began or ended.
    Dispute(&'static str, DisputeRecord, PaymentRecord),
}

impl Happened {
    /// In the provider's words: `charge.success`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Payment(kind, _)
            | Self::Transfer(kind, ..)
            | Self::Refund(kind, _)
            | Self::Dispute(kind, ..) => kind,
        }
    }

    /// The reference of the payment or transfer that it is about.
    #[must_use]
    pub fn reference(&self) -> &str {
        match self {
            Self::Payment(_, payment) => &payment.reference,
            Self::Transfer(_, transfer, _) => &transfer.reference,
            Self::Refund(_, refund) => &refund.payment_reference,
            Self::Dispute(_, dispute, _) => &dispute.payment_reference,
        }
    }
}
