//! Refunds and chargebacks.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::postgres::refunds::Refund;

/// Money that goes back to a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefundView {
    /// Never used again; the note by which the PSP has it.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// The payment's id.
    pub payment: Uuid,
    /// The payment's merchant.
    pub merchant: String,
    /// What the customer gets, minor units: `from_pending + from_available + from_owed +
    /// fee_returned - penalty`.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// `requested`, `sent`, `succeeded`, `failed` or `unknown`.
    pub status: &'static str,
    /// `request`: asked for here; `psp`: made at the PSP; `chargeback`: a dispute was lost.
    pub origin: &'static str,
    /// The fee that the platform gives back, minor units.
    pub fee_returned: i64,
    /// What the merchant pays the platform for a chargeback, minor units.
    pub penalty: i64,
    /// Taken from what was paid and not settled, minor units.
    pub from_pending: i64,
    /// Taken from what was settled, minor units.
    pub from_available: i64,
    /// What the merchant had not got, and owes, minor units.
    pub from_owed: i64,
    /// What the customer is told.
    pub customer_note: Option<String>,
    /// The PSP that it goes through.
    pub psp: String,
    /// The PSP's id of the refund or the dispute; null: it has not shown it.
    pub psp_id: Option<String>,
    /// The PSP's last word.
    pub psp_status: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// Who asked for it, or told of it.
    pub requested_by: String,
    /// Calls to the PSP so far.
    pub attempts: i32,
    /// When the PSP is called next, UTC; null: never again.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What went wrong last, or stands in its way.
    pub last_error: Option<String>,
    /// Who said how it ended, where a person did.
    pub resolved_by: Option<String>,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub resolved_at: Option<OffsetDateTime>,
    /// Why.
    pub reason: Option<String>,
    /// When it was asked for or heard of, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl RefundView {
    /// The view of a refund of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, refund: &Refund) -> Self {
        let (borne, word) = (&refund.borne, refund.resolution.as_ref());
        Self {
            id: refund.id,
            ledger: ledger.name.to_string(),
            payment: refund.payment_id,
            merchant: refund.merchant.to_string(),
            amount: refund.amount,
            currency: refund.currency.to_string(),
            status: refund.status.as_str(),
            origin: refund.origin.as_str(),
            fee_returned: borne.fee_returned,
            penalty: borne.penalty,
            from_pending: borne.from_pending,
            from_available: borne.from_available,
            from_owed: borne.from_owed,
            customer_note: refund.customer_note.clone(),
            psp: refund.psp.clone(),
            psp_id: refund.psp_id.clone(),
            psp_status: refund.psp_status.clone(),
            correlation_id: refund.correlation_id.clone(),
            requested_by: refund.requested_by.clone(),
            attempts: refund.attempts,
            next_attempt_at: refund.next_attempt_at,
            last_error: refund.last_error.clone(),
            resolved_by: word.map(|word| word.by.clone()),
            resolved_at: word.map(|word| word.at),
            reason: word.map(|word| word.reason.clone()),
            created_at: refund.created_at,
            updated_at: refund.updated_at,
        }
    }
}
