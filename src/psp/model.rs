//! What is asked of a provider, and what it answers. Amounts are minor units.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{DisputeStatus, PaymentStatus, RefundStatus, TransferStatus};
use crate::ledger::Currency;

/// A question's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The provider knows the reference.
    Known(T),
    /// The provider says that it doesn't: no call with this reference reached it so far.
    NotKnown,
}

impl<T> Lookup<T> {
    /// What is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(known) => Some(known),
            Self::NotKnown => None,
        }
    }
}

/// A payment to open.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPayment {
    /// The caller's name for it, unique for ever.
    pub reference: String,
    /// The customer's address.
    pub email: String,
    /// What to pay.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// Where the customer goes after paying; none: as set at the provider.
    pub callback_url: Option<String>,
    /// Handed through.
    pub metadata: Option<Map<String, Value>>,
}

/// Where a customer pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The payment's reference.
    pub reference: String,
    /// The page to send the customer to.
    pub url: String,
    /// The provider's code for the page.
    pub access_code: String,
}

/// A payment as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The caller's name for it.
    pub reference: String,
    /// The provider's id.
    pub id: String,
    /// How it stands.
    pub status: PaymentStatus,
    /// What was paid, or is to be paid.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// What the provider keeps of it, once it is known.
    pub fee: Option<i64>,
    /// When it was paid.
    pub paid_at: Option<OffsetDateTime>,
    /// What the customer's bank said.
    pub detail: Option<String>,
}

/// An account that transfers go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    /// Whose it is.
    pub name: String,
    /// Where it is.
    pub destination: Destination,
    /// Its currency.
    pub currency: Currency,
}

/// Where an account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// At a bank or an operator of mobile money.
    Account {
        /// The provider's kind: `nuban`, `ghipss`, `mobile_money`, `basa`.
        kind: String,
        /// The account's or phone's number.
        account_number: String,
        /// The provider's code for the bank or operator.
        bank_code: String,
    },
    /// A card that paid before.
    Authorization {
        /// The provider's code for it.
        code: String,
    },
}

/// A recipient as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// What transfers name it by.
    pub code: String,
    /// Its name, as sent or as the bank has it.
    pub name: Option<String>,
    /// Whether transfers to it are taken.
    pub active: bool,
}

/// Money to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer {
    /// The caller's name for it, unique for ever.
    pub reference: String,
    /// What the recipient gets.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// [`Recipient::code`].
    pub recipient: String,
    /// What the recipient reads.
    pub reason: Option<String>,
}

/// A transfer as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The caller's name for it.
    pub reference: String,
    /// The provider's code.
    pub code: String,
    /// How it stands.
    pub status: TransferStatus,
    /// What the recipient gets.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// What the provider takes for it, once it is known.
    pub fee: Option<i64>,
    /// Why it stands so, where the provider says it.
    pub detail: Option<String>,
}

/// Money to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefund {
    /// The payment's reference.
    pub payment_reference: String,
    /// How much of it.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// What the customer is told.
    pub customer_note: Option<String>,
    /// What the refund is found again by.
    pub merchant_note: Option<String>,
}

/// A refund as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The provider's id; webhooks may lack it.
    pub id: Option<String>,
    /// The payment's reference; a list of refunds may lack it.
    pub payment_reference: Option<String>,
    /// The processor's reference, once there is one.
    pub refund_reference: Option<String>,
    /// How much.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// How it stands.
    pub status: RefundStatus,
    /// [`NewRefund::merchant_note`].
    pub merchant_note: Option<String>,
}

/// A customer's complaint about a payment, such as a chargeback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's id.
    pub id: String,
    /// The payment's reference.
    pub payment_reference: String,
    /// How it stands.
    pub status: DisputeStatus,
    /// How it was resolved: `merchant-accepted`, `declined`, `auto-accepted`.
    pub resolution: Option<String>,
    /// What goes back if the merchant loses; none: not said.
    pub refund_amount: Option<i64>,
    /// What had been paid.
    pub payment_amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// `chargeback`, `fraud` and the like.
    pub category: Option<String>,
}

impl Dispute {
    /// Whether the money goes back to the customer. None: not decided, or in words not known.
    #[must_use]
    pub fn is_lost(&self) -> Option<bool> {
        match (&self.status, self.resolution.as_deref()) {
            (DisputeStatus::Resolved, Some("merchant-accepted" | "auto-accepted")) => Some(true),
            (DisputeStatus::Resolved, Some("declined")) => Some(false),
            _ => None,
        }
    }
}
