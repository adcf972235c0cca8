//! Payments.

use serde::Serialize;
use serde_json::value::RawValue;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::postgres::payments::Payment;

/// A payment: money in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PaymentView {
    /// Never used again.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// Whose money it is.
    pub merchant: String,
    /// As the PSP knows it.
    pub reference: String,
    /// `created`, `pending`, `succeeded`, `failed`, `abandoned`, `partly_refunded`, `refunded` or
    /// `disputed`.
    pub status: &'static str,
    /// Where the customer pays; null until the PSP has opened it.
    pub checkout_url: Option<String>,
    /// What the customer pays, minor units: `fee + net`.
    pub amount: i64,
    /// The platform's part, minor units.
    pub fee: i64,
    /// The merchant's part, minor units.
    pub net: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The version of the merchant's terms under which it was made.
    pub terms_version: i32,
    /// What went back to the customer, or is on its way back, minor units.
    pub refunded: i64,
    /// The customer's address; events don't carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where the customer goes after paying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Through whom it comes.
    pub psp: String,
    /// The PSP's own id, once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psp_id: Option<String>,
    /// What the PSP keeps of the amount, minor units, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psp_fee: Option<i64>,
    /// When it was asked for, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it changed last, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When the customer paid, UTC.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub paid_at: Option<OffsetDateTime>,
    /// The merchant's day that it counts for, as `2026-11-22`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// When it matures, UTC.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub matures_at: Option<OffsetDateTime>,
    /// What settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_id: Option<Uuid>,
    /// While created: calls to the PSP that failed. While pending: how often it was asked.
    pub attempts: u32,
    /// When the PSP is called for it next, UTC.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The caller's own JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
}

impl PaymentView {
    /// The view of a payment of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, payment: &Payment) -> Self {
        let p = payment.clone();
        Self {
            id: p.id,
            ledger: ledger.name.to_string(),
            merchant: p.merchant.to_string(),
            reference: p.reference,
            status: p.status.as_str(),
            checkout_url: p.checkout_url,
            amount: p.amount,
            fee: p.fee,
            net: p.net,
            currency: p.currency.to_string(),
            terms_version: p.terms_version,
            refunded: p.refunded,
            email: Some(p.email),
            callback_url: p.callback_url,
            psp: p.psp,
            psp_id: p.psp_id,
            psp_fee: p.psp_fee,
            created_at: p.created_at,
            updated_at: p.updated_at,
            paid_at: p.paid_at,
            period: p.period.as_ref().map(day),
            matures_at: p.matures_at,
            settlement_id: p.settlement_id,
            attempts: p.attempts,
            next_attempt_at: p.next_attempt_at,
            last_error: p.last_error,
            correlation_id: p.correlation_id,
            metadata: p.metadata.and_then(|text| RawValue::from_string(text).ok()),
        }
    }

    /// The same as events carry it, which more people read.
    #[must_use]
    pub fn without_customer(mut self) -> Self {
        self.email = None;
        self
    }
}

/// A day as `2026-11-22`.
pub(crate) fn day(date: &Date) -> String {
    // These parts can always be written.
    let written = date.format(format_description!("[year]-[month]-[day]"));
    written.unwrap_or_default()
}
