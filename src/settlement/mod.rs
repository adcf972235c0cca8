//! Settlement: what matured moves from pending to available and reserve, once for each merchant,
//! currency and period.
//!
//! A period is settled as a whole, when the last of its payments has matured. Its payments, its row,
//! its transaction and its event are one COMMIT under the gate of the merchant and currency
//! ([`settlement_gate`](crate::postgres::settlement_gate)), so that it does not matter who starts a
//! run, how often, or where one is killed: what was settled is settled, the rest is still due.
//!
//! [`split`](split()) decides, [`settle`] carries it out for one period, [`run`] for all that is due.

mod error;
mod reserve;
mod run;
mod scope;
mod settle;
mod settler;
mod shown;
mod split;
mod worker;

use crate::config::Config;

pub use error::SettlementError;
pub use reserve::{Release, release};
pub use run::{Failed, Report, Step, Work, preview, run};
pub use scope::{InFuture, Scope, day};
pub use settle::{Preview, settle};
pub use settler::Settler;
pub use split::{Brought, Split, Standing, split};
pub use worker::keep_settling;

/// Where a settlement is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Topic of the ledger's transactions.
    pub topic_transactions: String,
    /// Topic of the settlements' events.
    pub topic_settlements: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
        }
    }
}

impl Options {
    /// As configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            topic_transactions: config.kafka.topic_transactions.clone(),
            topic_settlements: config.kafka.topic_settlements.clone(),
        }
    }
}
