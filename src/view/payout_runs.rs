//! Payout runs and their items.

use serde::Serialize;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::hex;
use crate::ledger::Ledger;
use crate::postgres::payout_runs::Run;
use crate::postgres::payout_runs::items::Item;

/// A payout run. `succeeded`, `failed`, `unknown`, `waiting` and `cancelled` sum up to `count`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PayoutRunView {
    /// Its name in the ledger, for ever.
    pub key: String,
    /// The ledger's name.
    pub ledger: String,
    /// `waiting` for approval, `running`, `finished` or `cancelled`.
    pub status: &'static str,
    /// How many payouts.
    pub count: i64,
    /// Their sum, minor units.
    pub total: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// SHA-256 over the lines of the list, hexadecimal.
    pub list_hash: String,
    /// Payouts that their recipients have.
    pub succeeded: i64,
    /// Payouts that came to nothing: refused by a rule or the PSP, or the money came back.
    pub failed: i64,
    /// Payouts of which nobody knows yet whether the PSP paid them.
    pub unknown: i64,
    /// Payouts that are not requested yet, or on their way.
    pub waiting: i64,
    /// Payouts that were given up with the run.
    pub cancelled: i64,
    /// Minor units that their recipients have.
    pub succeeded_total: i64,
    /// Minor units that came to nothing.
    pub failed_total: i64,
    /// Minor units of which nobody knows.
    pub unknown_total: i64,
    /// Minor units that are not requested yet, or on their way.
    pub waiting_total: i64,
    /// Who made the list: `due`, the merchants' terms and balances, or `list`, a person.
    pub source: &'static str,
    /// The limit that it is over; null: it needs no approval.
    pub approval_reason: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// Who approved of it.
    pub approved_by: Option<String>,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub approved_at: Option<OffsetDateTime>,
    /// Who gave it up.
    pub cancelled_by: Option<String>,
    /// Why.
    pub cancel_reason: Option<String>,
    /// When it was over, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

impl PayoutRunView {
    /// The view of a run of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, run: &Run) -> Self {
        let tally = &run.tally;
        Self {
            key: run.key.clone(),
            ledger: ledger.name.to_string(),
            status: run.status.as_str(),
            count: run.count.into(),
            total: run.total,
            currency: run.currency.to_string(),
            list_hash: hex(&run.list_hash),
            succeeded: tally.succeeded.count,
            failed: tally.failed.count,
            unknown: tally.unknown.count,
            waiting: tally.waiting.count,
            cancelled: tally.cancelled.count,
            succeeded_total: tally.succeeded.total,
            failed_total: tally.failed.total,
            unknown_total: tally.unknown.total,
            waiting_total: tally.waiting.total,
            source: run.source.as_str(),
            approval_reason: run.approval_reason.clone(),
            started_by: run.started_by.name.clone(),
            started_at: run.started_at,
            approved_by: run.approved_by.as_ref().map(|actor| actor.name.clone()),
            approved_at: run.approved_at,
            cancelled_by: run.cancelled_by.clone(),
            cancel_reason: run.cancel_reason.clone(),
            finished_at: run.finished_at,
        }
    }
}

/// An item of a payout run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PayoutRunItemView {
    /// Its place in the list, from 1.
    pub number: i32,
    /// Who is paid.
    pub merchant: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The caller's own name for it.
    pub reference: Option<String>,
    /// The day of the merchant's schedule that it pays.
    #[schema(value_type = Option<String>, example = "2026-11-22")]
    pub due_on: Option<String>,
    /// `waiting`, `succeeded`, `failed`, `unknown` or `cancelled`.
    pub outcome: &'static str,
    /// Its payout, once that is requested.
    pub payout_id: Option<Uuid>,
    /// How the payout stands.
    pub payout_status: Option<String>,
    /// Why a rule said no, for programs.
    pub code: Option<String>,
    /// Why it came to nothing, or what went wrong last.
    pub detail: Option<String>,
}

impl PayoutRunItemView {
    /// The view of an item of a run in this currency.
    #[must_use]
    pub fn new(currency: &str, item: Item) -> Self {
        Self {
            number: item.number,
            merchant: item.merchant.to_string(),
            amount: item.amount,
            currency: currency.to_owned(),
            reference: item.reference,
            due_on: item.due_on.as_ref().map(Date::to_string),
            outcome: item.outcome.as_str(),
            payout_id: item.payout_id,
            payout_status: item.payout_status,
            code: item.code,
            detail: item.detail,
        }
    }
}
