//! What is due, as people and programs see it.

use super::{Failed, Preview, Release, Work};
use crate::view::{DuePeriodView, DueReserveView, SettlementFailedView, SettlementWorkView, day};

impl From<&Work> for SettlementWorkView {
    fn from(work: &Work) -> Self {
        Self {
            periods: work.periods.iter().map(DuePeriodView::from).collect(),
            reserves: work.reserves.iter().map(DueReserveView::from).collect(),
            more: work.more,
        }
    }
}

impl From<&Preview> for DuePeriodView {
    fn from(preview: &Preview) -> Self {
        Self {
            merchant: preview.due.merchant.to_string(),
            currency: preview.due.currency.to_string(),
            period: day(&preview.due.period),
            matured_at: preview.matured_at,
            payments: preview.payments,
            gross: preview.gross,
            refunded: preview.refunded,
            amount: preview.split.amount,
            owed_repaid: preview.split.owed_repaid,
            reserved: preview.split.reserved,
            released: preview.split.released,
        }
    }
}

impl From<&Release> for DueReserveView {
    fn from(release: &Release) -> Self {
        let reserve = &release.reserve;
        Self {
            settlement_id: reserve.settlement_id,
            merchant: reserve.merchant.to_string(),
            currency: reserve.currency.to_string(),
            terms_version: reserve.terms_version,
            amount: reserve.amount,
            owed_repaid: release.owed_repaid,
            released: release.released,
            due_at: reserve.due_at,
        }
    }
}

impl From<&Failed> for SettlementFailedView {
    fn from(failed: &Failed) -> Self {
        Self {
            merchant: failed.merchant.to_string(),
            what: failed.what.clone(),
            why: failed.why.clone(),
        }
    }
}
