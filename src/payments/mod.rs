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
mod news;
mod opening;
pub mod outcome;
mod sweep;
pub mod webhook;

use std::time::Duration;

use crate::ledger::Ledger;
use crate::resilience::backoff::Schedule;

pub use create::{Created, NewPayment, Refused, create};
pub use desk::{Desk, Pace};
pub use error::PaymentError;
pub use opening::open;
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
    /// The most webhooks that are handled in one database transaction.
    pub batch_webhooks_max: usize,
}
