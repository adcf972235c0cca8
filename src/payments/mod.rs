//! Payments: money in through a PSP.
//!
//! | step | its COMMIT holds | a crash before it | a crash after it |
//! |---|---|---|---|
//! | [`create`] | row, PSP reference, event | nothing happened | the row is due, a worker opens it |
//! | [`open`]: the PSP's `initialize` | | the PSP is asked before it is called again | |
//! | | `pending`, event | as before | |
//! | [`webhook::receive`] | the body | no 200 was answered: the PSP sends it again | a worker takes it |
//! | [`webhook::work`], [`ask`] | entries, row, events | it comes again | done |
//!
//! What a PSP says takes effect in one place ([`outcome`]), whoever heard it. No database
//! transaction is open while the PSP is called, and a call is made only for a row that was written
//! before.

mod create;
mod desk;
mod elsewhere;
mod error;
mod fields;
mod news;
mod opening;
pub mod outcome;
mod sweep;
pub mod webhook;

use std::time::Duration;

use crate::config::Config;
use crate::ledger::Ledger;
use crate::payouts;
use crate::refunds;
use crate::resilience::backoff::Schedule;

pub use create::{Created, NewPayment, Refused, create};
pub use desk::{Desk, Pace};
pub use error::PaymentError;
pub use fields::{CallbackUrl, Email, PaymentReference};
pub use opening::{open, open_again};
pub use sweep::{ask, requery, sweep};

/// How payments are handled.
#[derive(Clone, Debug)]
pub struct Options {
    /// Topic of the ledger's transactions.
    pub topic_transactions: String,
    /// Topic of the payments' events.
    pub topic_settlements: String,
    /// The PSP's name, as in `psp:<name>`.
    pub psp: String,
    /// Where discrepancies go that belong to no ledger.
    pub ledger: Ledger,
    /// The waits between failed calls; once it gives up, so does the payment.
    pub schedule: Schedule,
    /// For how long a payment is left alone by others while the PSP is called for it.
    pub lease: Duration,
    /// How long after it was opened a payment is asked about.
    pub ask_after: Duration,
    /// How long after it was made a payment is given up that nobody paid.
    pub abandon_after: Duration,
    /// How payouts are handled, of which webhooks tell, too.
    pub payouts: payouts::Options,
    /// How refunds and disputes are, likewise.
    pub refunds: refunds::Options,
    /// The most webhooks that are handled in one database transaction.
    pub batch_webhooks_max: usize,
}

impl Options {
    /// As configured, for a PSP. What belongs to no ledger goes to `ledger`.
    #[must_use]
    pub fn from_config(config: &Config, psp: &str, ledger: Ledger) -> Self {
        let backoff = &config.backoff;
        let jitter = f64::from(backoff.jitter_percent) / 100.0;
        Self {
            topic_transactions: config.kafka.topic_transactions.clone(),
            topic_settlements: config.kafka.topic_settlements.clone(),
            psp: psp.to_owned(),
            ledger,
            schedule: Schedule::new(backoff.first, 2, backoff.waits).with_jitter(jitter),
            // A step makes three calls at most.
            lease: config.paystack.timeout.saturating_mul(3) + LEASE_SPARE,
            ask_after: config.payments.ask_after,
            abandon_after: config.payments.abandon_after,
            payouts: payouts::Options::from_config(config, psp),
            refunds: refunds::Options::from_config(config, psp),
            batch_webhooks_max: config.payments.batch_webhooks_max,
        }
    }
}

/// What a step may take beside its calls.
const LEASE_SPARE: Duration = Duration::from_secs(15);
