//! Payouts: money on its way to merchants.
//!
//! | | |
//! |---|---|
//! | `request` | funds into transit, the PSP's reference written: one COMMIT, before any call |
//! | `advance` | the one step that is due: an attempt written, the call outside of any transaction, what was learned written |
//! | `apply_transfer` | what a webhook says |
//! | `resolve` | what a person says |
//! | [`transit`](crate::transit) | the rules that all of them go by: pure |
//!
//! What does not agree is a discrepancy ([`crate::postgres::discrepancies`]) and moves nothing.
//!
//! A call that may have sent the money leaves it in transit until the PSP or a person says what
//! became of it. Nothing is sent again before the PSP has said that it doesn't know the reference,
//! and then with the same reference, which a PSP pays once.

mod advance;
mod amiss;
mod apply;
mod dispatch;
mod error;
mod fee;
mod request;
mod resolve;
mod state;
mod timing;

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::config::Config;
use crate::event::EventType;
use crate::ledger::{Currency, IdempotencyKey, Ledger};
use crate::merchant::MerchantId;
use crate::postgres::outbox::{self, News};
use crate::resilience::backoff::Schedule;
use crate::view::PayoutView;

pub use crate::postgres::payouts::{
    Attempt, AttemptKind, Doubt, Outcome, Payout, PayoutStatus, Resolution, RunItem,
};
pub use crate::transit::Verdict;
pub use advance::advance;
pub use apply::{Applied, apply_transfer};
pub use dispatch::{Dispatch, Pace, requery, request_now};
pub use error::PayoutError;
pub use fee::take_fee;
pub use request::request;
pub use resolve::{Resolved, objection, resolve};
pub use timing::Timing;

/// Where payouts are told and how they are looked after.
#[derive(Clone, Debug)]
pub struct Options {
    /// Topic of the ledger's own events.
    pub topic_transactions: String,
    /// Topic of payouts' events.
    pub topic_settlements: String,
    /// The PSP's name, as in `psp:<name>`.
    pub psp_name: String,
    /// The first waits between calls.
    pub schedule: Schedule,
    /// The others.
    pub timing: Timing,
    /// This machine's name, for the attempts.
    pub host: String,
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
                poll: config.payouts.ask_every,
                // A call ends within its time, and is written down soon after.
                lease: config.paystack.timeout.saturating_mul(2).max(LEASE_MIN),
                settling: config.payouts.settling,
                ..Timing::default()
            },
            host: whoami::hostname().unwrap_or_else(|_| "unknown".to_owned()),
        }
    }
}

/// A payout that is asked for.
#[derive(Clone, Debug)]
pub struct NewPayout {
    /// To whom.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// Minor units.
    pub amount: i64,
    /// The caller's own name for it, which the recipient reads too; not unique.
    pub label: Option<String>,
    /// The same key with the same request is the same payout.
    pub key: IdempotencyKey,
    /// The run that it is a part of.
    pub run: Option<RunItem>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who asks for it.
    pub requested_by: String,
}

/// What came of asking for a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It is new: its funds are in transit.
    Now(Payout),
    /// The key stood for it already.
    Before(Payout),
    /// A rule's no; nothing took effect.
    Rejected {
        /// Stable.
        code: &'static str,
        /// What happened, to which thing, and what to do about it.
        detail: String,
    },
}

/// Tells what became of a payout, in the transaction that it became so in.
async fn tell(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    payout: &Payout,
    event_type: EventType,
    now: OffsetDateTime,
) -> Result<(), PayoutError> {
    let payload = serde_json::to_string(&PayoutView::new(ledger, payout))?;
    let news = News {
        event_type,
        subject: payout.id.to_string(),
        correlation_id: payout.correlation_id.clone(),
        traceparent: payout.traceparent.clone(),
        payload,
    };
    outbox::tell(conn, ledger.id, &options.topic_settlements, &[news], now).await?;
    Ok(())
}
