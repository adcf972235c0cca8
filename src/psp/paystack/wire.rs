//! Bodies, field for field as documented. What Aegis has no use for is passed over.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ledger::Currency;
use crate::psp::{
    Checkout, Destination, DisputeStatus, NewPayment, NewRecipient, NewRefund, NewTransfer,
    Payment, PaymentStatus, PspError, RefundStatus, TransferStatus,
};

/// <https://paystack.com/docs/api/transaction/#initialize>
#[derive(Debug, Serialize)]
pub(super) struct Initialize<'a> {
    email: &'a str,
    amount: i64,
    currency: Currency,
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<&'a str>,
    /// "Stringified JSON object of custom data".
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

impl<'a> Initialize<'a> {
    pub(super) fn new(payment: &'a NewPayment) -> Self {
        Self {
            email: &payment.email,
            amount: payment.amount,
            currency: payment.currency,
            reference: &payment.reference,
            callback_url: payment.callback_url.as_deref(),
            metadata: payment
                .metadata
                .as_ref()
                .map(|metadata| serde_json::Value::Object(metadata.clone()).to_string()),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Initialized {
    authorization_url: String,
    access_code: String,
    reference: String,
}

impl Initialized {
    pub(super) fn checkout(self, asked: &str) -> Result<Checkout, PspError> {
        same_reference(&self.reference, asked)?;
        Ok(Checkout {
            reference: self.reference,
            url: self.authorization_url,
            access_code: self.access_code,
        })
    }
}

/// A transaction: <https://paystack.com/docs/api/transaction/#verify>. `amount` is what was paid,
/// `requested_amount` what had been asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Transaction {
    id: u64,
    status: String,
    reference: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    fees: Option<i64>,
    #[serde(default)]
    paid_at: Option<String>,
    #[serde(default)]
    gateway_response: Option<String>,
}

impl Transaction {
    pub(super) fn payment(self, asked: &str) -> Result<Payment, PspError> {
        same_reference(&self.reference, asked)?;
        self.read().map_err(PspError::unknown)
    }

    pub(super) fn read(self) -> Result<Payment, String> {
        Ok(Payment {
            reference: self.reference,
            id: self.id.to_string(),
            status: PaymentStatus::from_word(&self.status),
            amount: amount(self.amount)?,
            currency: currency(&self.currency)?,
            fee: self.fees.map(amount).transpose()?,
            paid_at: self.paid_at.as_deref().and_then(timestamp),
            detail: self.gateway_response,
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

/// <https://paystack.com/docs/api/transfer-recipient/#create>
#[derive(Debug, Serialize)]
pub(super) struct CreateRecipient<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_code: Option<&'a str>,
}

impl<'a> CreateRecipient<'a> {
    pub(super) fn new(recipient: &'a NewRecipient) -> Self {
        let (kind, account_number, bank_code, authorization_code) = match &recipient.destination {
            Destination::Account {
                kind,
                account_number,
                bank_code,
            } => (
                kind.as_str(),
                Some(account_number.as_str()),
                Some(bank_code.as_str()),
                None,
            ),
            Destination::Authorization { code } => {
                ("authorization", None, None, Some(code.as_str()))
            }
        };
        Self {
            kind,
            name: &recipient.name,
            currency: recipient.currency,
            account_number,
            bank_code,
            authorization_code,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Recipient {
    recipient_code: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default = "yes")]
    active: bool,
}

const fn yes() -> bool {
    true
}

impl From<Recipient> for crate::psp::Recipient {
    fn from(recipient: Recipient) -> Self {
        Self {
            code: recipient.recipient_code,
            name: recipient.name,
            active: recipient.active,
        }
    }
}

/// <https://paystack.com/docs/api/transfer/#initiate>
#[derive(Debug, Serialize)]
pub(super) struct InitiateTransfer<'a> {
    source: &'static str,
    amount: i64,
    recipient: &'a str,
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    currency: Currency,
}

impl<'a> InitiateTransfer<'a> {
    pub(super) fn new(transfer: &'a NewTransfer) -> Self {
        Self {
            source: "balance",
            amount: transfer.amount,
            recipient: &transfer.recipient,
            reference: &transfer.reference,
            reason: transfer.reason.as_deref(),
            currency: transfer.currency,
        }
    }
}

/// A transfer: <https://paystack.com/docs/api/transfer/#verify>. The documented answer to one that
/// is begun lacks the reference.
#[derive(Debug, Deserialize)]
pub(super) struct Transfer {
    id: u64,
    status: String,
    #[serde(default)]
    reference: Option<String>,
    transfer_code: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    fee_charged: Option<i64>,
    #[serde(default)]
    gateway_response: Option<String>,
}

impl Transfer {
    pub(super) fn transfer(mut self, asked: &str) -> Result<crate::psp::Transfer, PspError> {
        let reference = self.reference.get_or_insert_with(|| asked.to_owned());
        same_reference(reference, asked)?;
        self.read().map_err(PspError::unknown)
    }

    pub(super) fn read(self) -> Result<crate::psp::Transfer, String> {
        Ok(crate::psp::Transfer {
            reference: self.reference.ok_or("the transfer has no reference")?,
            code: self.transfer_code,
            status: TransferStatus::from_word(&self.status),
            amount: amount(self.amount)?,
            currency: currency(&self.currency)?,
            fee: self.fee_charged.map(amount).transpose()?,
            detail: self.gateway_response,
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

/// <https://paystack.com/docs/api/refund/#create>
#[derive(Debug, Serialize)]
pub(super) struct CreateRefund<'a> {
    transaction: &'a str,
    amount: i64,
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_note: Option<&'a str>,
}

impl<'a> CreateRefund<'a> {
    pub(super) fn new(refund: &'a NewRefund) -> Self {
        Self {
            transaction: &refund.payment_reference,
            amount: refund.amount,
            currency: refund.currency,
            customer_note: refund.customer_note.as_deref(),
            merchant_note: refund.merchant_note.as_deref(),
        }
    }
}

/// A refund as it is created and listed: <https://paystack.com/docs/api/refund/>. `transaction` is
/// the transaction's object in the one and its id in the other.
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    id: u64,
    amount: i64,
    currency: String,
    status: String,
    transaction: serde_json::Value,
    #[serde(default)]
    merchant_note: Option<String>,
}

impl Refund {
    pub(super) fn refund(self, asked: Option<&str>) -> Result<crate::psp::Refund, PspError> {
        let reference = self.transaction.get("reference");
        let reference = reference.and_then(|reference| reference.as_str());
        if let (Some(asked), Some(reference)) = (asked, reference) {
            same_reference(reference, asked)?;
        }
        Ok(crate::psp::Refund {
            id: Some(self.id.to_string()),
            payment_reference: reference.or(asked).map(str::to_owned),
            refund_reference: None,
            amount: amount(self.amount).map_err(PspError::unknown)?,
            currency: currency(&self.currency).map_err(PspError::unknown)?,
            status: RefundStatus::from_word(&self.status),
            merchant_note: self.merchant_note,
        })
    }
}

/// A dispute, in a list and in a webhook.
#[derive(Deserialize)]
pub(super) struct Dispute {
    id: u64,
    status: String,
    #[serde(default)]
    resolution: Option<String>,
    #[serde(default)]
    refund_amount: Option<i64>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    category: Option<String>,
    transaction: DisputedTransaction,
}

#[derive(Deserialize)]
struct DisputedTransaction {
    reference: String,
    amount: i64,
    currency: String,
}

impl Dispute {
    pub(super) fn read(self) -> Result<crate::psp::Dispute, String> {
        let code = self.currency.as_ref().unwrap_or(&self.transaction.currency);
        Ok(crate::psp::Dispute {
            currency: currency(code)?,
            id: self.id.to_string(),
            payment_reference: self.transaction.reference,
            status: DisputeStatus::from_word(&self.status),
            resolution: self.resolution,
            refund_amount: self.refund_amount.map(amount).transpose()?,
            payment_amount: amount(self.transaction.amount)?,
            category: self.category,
        })
    }
}

fn same_reference(answered: &str, asked: &str) -> Result<(), PspError> {
    match answered == asked {
        true => Ok(()),
        false => Err(PspError::unknown(format!(
            "the answer is about another reference than {asked:?}"
        ))),
    }
}

pub(super) fn amount(minor: i64) -> Result<i64, String> {
    match minor >= 0 {
        true => Ok(minor),
        false => Err(format!("the amount {minor} is below zero")),
    }
}

pub(super) fn currency(code: &str) -> Result<Currency, String> {
    let shown: String = code.chars().take(8).collect();
    Currency::from_code(code).ok_or_else(|| format!("{shown:?} is not a currency"))
}

fn timestamp(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
