//! Money that goes back to customers: refunds that are asked for here, those that were made at the
//! PSP, and chargebacks.
//!
//! | | |
//! |---|---|
//! | `request` | the merchant's and the platform's shares into transit: one COMMIT, before any call |
//! | `advance` | the one step that is due: written, the call outside of any transaction, what was learned written |
//! | `apply_refund`, `apply_dispute` | what a webhook says |
//! | `look_up` | what the PSP's list of a payment's refunds says |
//! | `resolve` | what a person says |
//! | [`transit`](crate::transit) | the rules that refunds of ours go by: pure |
//!
//! A PSP takes no reference for a refund. Ours carries its id as a note, and nothing is sent a
//! second time before the PSP's list has been read without it. What happened at the PSP can't be
//! refused: it is booked, and what the terms don't let the merchant's wallets fall to is owed.

mod advance;
mod apply;
mod case;
mod desk;
mod disputes;
mod error;
mod listed;
mod note;
mod request;
mod resolve;
mod state;
mod timing;
mod worker;

use std::time::Duration;

use crate::config::Config;
use crate::ledger::IdempotencyKey;
use crate::resilience::backoff::Schedule;
use uuid::Uuid;

pub use crate::postgres::refunds::{Borne, Origin, Refund, RefundStatus, Resolution};
pub use crate::transit::Verdict;
pub use advance::{advance, requery};
pub use desk::Desk;
pub use disputes::apply_dispute;
pub use error::RefundError;
pub use listed::{apply_refund, look_up};
pub use note::CustomerNote;
pub use request::{request, request_now};
pub use resolve::{Resolved, objection, resolve};
pub use timing::Timing;
pub use worker::{run, work_once};

/// Where refunds are told and how they are looked after.
#[derive(Clone, Debug)]
pub struct Options {
    /// Topic of the ledger's own events.
    pub topic_transactions: String,
    /// Topic of refunds' and payments' events.
    pub topic_settlements: String,
    /// The PSP's name, as in `psp:<name>`.
    pub psp_name: String,
    /// The first waits between calls.
    pub schedule: Schedule,
    /// The others.
    pub timing: Timing,
}

/// After how long a call is given up for lost at the earliest.
const LEASE_MIN: Duration = Duration::from_secs(30);

impl Options {
    /// As configured, for the PSP of that name.
    #[must_use]
    pub fn from_config(config: &Config, psp_name: &str) -> Self {
        let backoff = &config.backoff;
        Self {
            topic_transactions: config.kafka.topic_transactions.clone(),
            topic_settlements: config.kafka.topic_settlements.clone(),
            psp_name: psp_name.to_owned(),
            schedule: Schedule::new(backoff.first, 2, backoff.waits),
            timing: Timing {
                // A call ends within its time, and is written down soon after.
                lease: config.paystack.timeout.saturating_mul(2).max(LEASE_MIN),
                poll: config.refunds.ask_every,
                disputes: config.refunds.ask_about_disputes,
                settling: config.refunds.settling,
                ..Timing::default()
            },
        }
    }
}

/// A refund that is asked for.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// Of which payment.
    pub payment_id: Uuid,
    /// Minor units; none: all that is left of the payment.
    pub amount: Option<i64>,
    /// What the customer is told.
    pub customer_note: Option<String>,
    /// The same key with the same request is the same refund.
    pub key: IdempotencyKey,
    /// What it belongs to; none: what the payment belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who asks for it.
    pub requested_by: String,
}

/// What came of asking for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It is new: its money is in transit.
    Now(Refund),
    /// The key stood for it already.
    Before(Refund),
    /// A rule's no; nothing took effect.
    Rejected {
        /// Stable.
        code: &'static str,
        /// What happened, to which thing, and what to do about it.
        detail: String,
    },
}

/// What came of a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It changed something, or a look at the PSP's list is due because of it.
    Done,
    /// It changed nothing: it was known, or came late.
    Ignored,
    /// It does not agree with what is known.
    Discrepancy,
}
