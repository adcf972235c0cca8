//! Payouts, and the calls to the PSP about them.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::postgres::payouts::{Attempt, Payout};

/// A payout.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PayoutView {
    /// Never used again.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// To whom.
    pub merchant: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// `requested`, `sent`, `succeeded`, `failed`, `unknown` or `returned`.
    pub status: &'static str,
    /// The PSP that it goes through.
    pub psp: String,
    /// As the PSP knows it.
    pub reference: String,
    /// The PSP's code for where it goes.
    pub recipient: String,
    /// The caller's own name for it.
    pub label: Option<String>,
    /// The run that it is a part of.
    pub run_key: Option<String>,
    /// Its place in the run's list.
    pub run_number: Option<i32>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// Who asked for it.
    pub requested_by: String,
    /// The PSP's code for it; null: it has not acknowledged it.
    pub psp_code: Option<String>,
    /// What the PSP took for itself, minor units; null: not known yet.
    pub psp_fee: Option<i64>,
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
    /// When it was asked for, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl PayoutView {
    /// The view of a payout of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, payout: &Payout) -> Self {
        let (run, word) = (payout.run.as_ref(), payout.resolution.as_ref());
        Self {
            id: payout.id,
            ledger: ledger.name.to_string(),
            merchant: payout.merchant.to_string(),
            amount: payout.amount,
            currency: payout.currency.to_string(),
            status: payout.status.as_str(),
            psp: payout.psp.clone(),
            reference: payout.reference.clone(),
            recipient: payout.recipient.clone(),
            label: payout.label.clone(),
            run_key: run.map(|run| run.run_key.clone()),
            run_number: run.map(|run| run.number),
            correlation_id: payout.correlation_id.clone(),
            requested_by: payout.requested_by.clone(),
            psp_code: payout.psp_code.clone(),
            psp_fee: payout.psp_fee,
            attempts: payout.attempts,
            next_attempt_at: payout.next_attempt_at,
            last_error: payout.last_error.clone(),
            resolved_by: word.map(|word| word.by.clone()),
            resolved_at: word.map(|word| word.at),
            reason: word.map(|word| word.reason.clone()),
            created_at: payout.created_at,
            updated_at: payout.updated_at,
        }
    }
}

/// A call to the PSP about a payout.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PayoutAttemptView {
    /// From 1 in order.
    pub number: i32,
    /// `send` or `ask`.
    pub kind: &'static str,
    /// The machine that made it.
    pub host: String,
    /// When it began, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it was over, UTC; null: it is under way, or nobody came back from it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// `seen`, `not_known`, `refused`, `reference_taken`, `not_sent`, `unclear`, `unanswered` or
    /// `lost`.
    pub outcome: Option<&'static str>,
    /// In the PSP's words, or ours.
    pub detail: Option<String>,
}

impl From<&Attempt> for PayoutAttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            kind: attempt.kind.as_str(),
            host: attempt.host.clone(),
            started_at: attempt.started_at,
            ended_at: attempt.ended.map(|(at, _)| at),
            outcome: attempt.ended.map(|(_, outcome)| outcome.as_str()),
            detail: attempt.detail.clone(),
        }
    }
}

/// A payout with the calls about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PayoutDetailView {
    /// The payout.
    #[serde(flatten)]
    pub payout: PayoutView,
    /// The last 100 calls, the latest first.
    pub calls: Vec<PayoutAttemptView>,
}
