//! The settlement consumer: commands on the bus take effect in the ledger, each once.
//!
//! A message's effect and the note that its event took effect are one COMMIT, and its offset moves
//! only after that; so a repeat, whoever caused it, finds the note and is dropped. What fails waits
//! in the database, not in the partition: it is tried by the schedule, those behind it of the same
//! key wait with it, all others pass. After the last failure its dead letter is published, and only
//! once that is acknowledged the message is forgotten here.
//!
//! - A rule's no is a failure: wallets are made and funds arrive.
//! - What can't be read as a command becomes a dead letter without another attempt.
//! - Trouble with the database or the bus counts against no message: the consumer is held up.

mod command;
mod message;
mod retries;
mod settlements;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::bus::Bus;
use crate::engine::PostError;
use crate::postgres::{Failure, blames_values, classify};
use crate::resilience::backoff::Schedule;

pub use crate::postgres::STEP_MAX;
pub use retries::{Lane, Retried, Retries};
pub use settlements::Settlements;

/// The consumer's name in the database.
pub const NAME: &str = "settlements";

/// What a consumer works by.
#[derive(Clone, Debug)]
pub struct Options {
    /// When a message that failed is tried again, and after how many failures it is a dead letter.
    pub schedule: Schedule,
    /// How often to look for messages that are due without being woken.
    pub poll: Duration,
    /// How long it is remembered that an event took effect. Longer than a broker keeps messages: what
    /// comes again later than that is dropped by its idempotency key alone.
    pub remembered: Duration,
    /// The topic that what was posted is told on.
    pub topic_transactions: String,
    /// How long one message may take the database and the bus, see [`STEP_MAX`], and after how long a
    /// claim is settled though it is not all done.
    pub patience: Duration,
}

/// What the two halves of the consumer share.
#[derive(Clone, Debug)]
struct Shared {
    pool: PgPool,
    options: Options,
    /// Something was parked.
    parked: Arc<Notify>,
}

/// Both halves of the consumer: the one that takes messages from the bus, and the one that tries
/// again what failed, and publishes dead letters on `letters`.
#[must_use]
pub fn new(pool: PgPool, letters: Arc<Bus>, options: Options) -> (Settlements, Retries) {
    let shared = Shared {
        pool,
        options,
        parked: Arc::new(Notify::new()),
    };
    (
        Settlements::new(shared.clone()),
        Retries::new(shared, letters),
    )
}

/// Why a message could not be attempted. It says nothing about the message.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The database failed; nothing took effect.
    #[error("the database can't be used: {0}")]
    Database(#[from] sqlx::Error),
    /// The same from the posting of a command.
    #[error("the database can't be used: {0}")]
    Posting(PostError),
}

impl ConsumerError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Posting(PostError::Database(error)) => Some(error),
            Self::Posting(_) => None,
        }
    }

    /// Others were in the way, and the server undid the work: it may be done again at once.
    fn is_conflict(&self) -> bool {
        let sorted = self.database().map(classify);
        matches!(sorted, Some(Failure::Conflict | Failure::Unique))
    }

    /// Whether it is the message's own values that the database won't take.
    fn blames_message(&self) -> bool {
        let blamed = |error| blames_values(error) && classify(error) != Failure::Unique;
        self.database().is_some_and(blamed)
    }
}
