//! What is due, as people and programs see it.

use super::{Preview, Work};
use crate::view::{DuePeriodView, DueReserveView, SettlementWorkView, day};

impl From<&Work> for SettlementWorkView {
    fn from(work: &Work) -> Self {
        Self {
            periods: work.periods.iter().map(DuePeriodView::from).collect(),
            reserves: work.reserves.iter().map(DueReserveView::from).collect(),
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
