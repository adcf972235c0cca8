//! Settlements.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::payments::day;
use crate::ledger::Ledger;
use crate::postgres::settlements::{Reserve, Settlement};

/// What matured on a merchant's day, and where it went: `amount = owed_repaid + reserved + released`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettlementView {
    /// Never used again.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// Whose money it is.
    pub merchant: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The merchant's day, as `2026-11-22`.
    pub period: String,
    /// When the last of its payments matured, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub matured_at: OffsetDateTime,
    /// How many payments.
    pub payments: i64,
    /// What customers paid, minor units: `fee + net`.
    pub gross: i64,
    /// The platform's part, minor units.
    pub fee: i64,
    /// The merchant's part, minor units.
    pub net: i64,
    /// What had gone back to customers until then, minor units.
    pub refunded: i64,
    /// What left pending, minor units; below 0 where more went back than had come.
    pub amount: i64,
    /// What paid back what the merchant owed, minor units; below 0: what it owes from now on.
    pub owed_repaid: i64,
    /// What is held back for a while, minor units.
    pub reserved: i64,
    /// What became available, minor units; below 0: what was taken from there.
    pub released: i64,
    /// What is held back, by version of the terms.
    pub reserves: Vec<ReserveView>,
    /// What moved it; null: nothing moved.
    pub transaction_id: Option<Uuid>,
    /// When it was settled, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub settled_at: OffsetDateTime,
    /// Who had it done.
    pub settled_by: String,
}

/// What a settlement holds back under a version of the terms.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReserveView {
    /// The version.
    pub terms_version: i32,
    /// Minor units.
    pub amount: i64,
    /// When it is to be released, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    /// When it was, UTC; null: not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    pub released_at: Option<OffsetDateTime>,
    /// Of it, what paid back what the merchant owed, minor units.
    pub owed_repaid: i64,
}

impl SettlementView {
    /// The view of a settlement of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, settlement: &Settlement) -> Self {
        Self {
            id: settlement.id,
            ledger: ledger.name.to_string(),
            merchant: settlement.merchant.to_string(),
            currency: settlement.currency.to_string(),
            period: day(&settlement.period),
            matured_at: settlement.matured_at,
            payments: settlement.payments,
            gross: settlement.gross,
            fee: settlement.fee,
            net: settlement.net,
            refunded: settlement.refunded,
            amount: settlement.amount,
            owed_repaid: settlement.owed_repaid,
            reserved: settlement.reserved,
            released: settlement.released,
            reserves: settlement.reserves.iter().map(ReserveView::from).collect(),
            transaction_id: settlement.transaction_id,
            settled_at: settlement.settled_at,
            settled_by: settlement.settled_by.clone(),
        }
    }
}

impl From<&Reserve> for ReserveView {
    fn from(reserve: &Reserve) -> Self {
        Self {
            terms_version: reserve.terms_version,
            amount: reserve.amount,
            due_at: reserve.due_at,
            released_at: reserve.released_at,
            owed_repaid: reserve.owed_repaid,
        }
    }
}

/// What a settlement run would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettlementWorkView {
    /// Periods that would be settled.
    pub periods: Vec<DuePeriodView>,
    /// Reserves that would be released.
    pub reserves: Vec<DueReserveView>,
    /// Whether there is more than is listed here.
    pub more: bool,
}

/// What settling a period would come to: `amount = owed_repaid + reserved + released`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DuePeriodView {
    /// Whose money it is.
    pub merchant: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The merchant's day.
    pub period: String,
    /// When the last of its payments matured, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub matured_at: OffsetDateTime,
    /// How many payments.
    pub payments: i64,
    /// What customers paid, minor units.
    pub gross: i64,
    /// What went back to customers, minor units.
    pub refunded: i64,
    /// What would leave pending, minor units.
    pub amount: i64,
    /// What would pay back what the merchant owes, minor units.
    pub owed_repaid: i64,
    /// What would be held back, minor units.
    pub reserved: i64,
    /// What would become available, minor units.
    pub released: i64,
}

/// A reserve whose time has come: `amount = owed_repaid + released`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DueReserveView {
    /// What held it back.
    pub settlement_id: Uuid,
    /// Whose it is.
    pub merchant: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Under which version of the terms it was held back.
    pub terms_version: i32,
    /// Minor units.
    pub amount: i64,
    /// What pays back what the merchant owes, minor units.
    pub owed_repaid: i64,
    /// What becomes available, minor units.
    pub released: i64,
    /// When its time came, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
}

/// What came of a settlement run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettlementRunView {
    /// What was settled.
    pub settled: Vec<SettlementView>,
    /// Reserves that were released.
    pub released: Vec<DueReserveView>,
    /// What could not be done, and why.
    pub failed: Vec<SettlementFailedView>,
    /// What is due and waits, with what failed.
    pub left: SettlementLeftView,
}

/// A period or a reserve that a run could not do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettlementFailedView {
    /// Whose.
    pub merchant: String,
    /// Which: `period 2026-11-22` or `reserve of <settlement>`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// How much is due and waits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettlementLeftView {
    /// Periods.
    pub periods: i64,
    /// Reserves.
    pub reserves: i64,
}
