//! One batch of commands, one database transaction.
//!
//! [`Engine::post`] reads what the commands name, decides them in order in Rust, and writes all
//! that they did with one COMMIT: headers, entries, wallets and outbox rows together. Posting one
//! is the batch of one. [`Committer`] gathers the commands of callers at the same time into
//! batches: while one commits, the next one gathers.

mod committer;
mod decision;
mod directory;
mod job;
mod known;
mod measured;
mod own;
mod posting;
mod within;

use std::sync::Arc;

pub use committer::{Committer, CommitterPulse, Limits};
pub use own::{Posting, post_own};
pub use posting::Engine;
pub use within::post_within;

use crate::ledger::Command;

/// The most commands that one request may hold.
pub const REQUEST_COMMANDS_MAX: usize = 8_192;

/// Commands that came together.
#[derive(Clone, Debug)]
pub struct Request {
    /// Decided in this order.
    pub commands: Vec<Command>,
    /// All or none: a rejection of one undoes the others.
    pub atomic: bool,
}

impl Request {
    /// A request of one command.
    #[must_use]
    pub fn one(command: Command) -> Self {
        Self {
            commands: vec![command],
            atomic: false,
        }
    }

    /// How much work it is: one for a transfer, more for transactions of many legs. What is bounded
    /// by the number of commands is bounded by this.
    #[must_use]
    pub fn weight(&self) -> usize {
        let legs = |command: &Command| command.transaction.as_ref().map_or(0, |t| t.legs().len());
        self.commands
            .iter()
            .map(|command| legs(command).div_ceil(2).max(1))
            .sum()
    }

    /// A request of commands that stand each for itself.
    #[must_use]
    pub fn independent(commands: Vec<Command>) -> Self {
        Self {
            commands,
            atomic: false,
        }
    }
}

/// Why a request got no answer. A rule's no is an [`crate::ledger::Outcome`], not an error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PostError {
    /// The database could not be reached, or the connection was lost and stayed lost. Whether the
    /// request took effect is unknown: the same keys tell.
    #[error(
        "the database can't be reached ({source}); whether the request took effect is unknown, \
         send it again with the same key"
    )]
    Unavailable {
        /// What the last attempt met.
        source: Arc<sqlx::Error>,
    },
    /// Other writers were in the way in every attempt. Nothing took effect.
    #[error("other writers were in the way {attempts} times ({source}); send it again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt met.
        source: Arc<sqlx::Error>,
    },
    /// The database has no room, on its disk or in its memory. Nothing took effect.
    #[error("the database has no room for the work ({0}); make room, then send it again")]
    Exhausted(Arc<sqlx::Error>),
    /// More requests wait than there is room for. Nothing took effect.
    #[error("too many requests wait already; send it again later")]
    Overloaded,
    /// The engine is stopping. Nothing took effect.
    #[error("the engine is stopping; send it again to another instance or later")]
    Stopping,
    /// The database refused the work. Nothing took effect.
    #[error("the database refused the work: {0}")]
    Database(Arc<sqlx::Error>),
    /// An event could not be written as JSON. Nothing took effect.
    #[error("an event can't be written: {0}")]
    Event(String),
}

impl PostError {
    /// Whether the database is away: that is told once, by whoever watches it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Database(error) => crate::postgres::is_away(error),
            _ => false,
        }
    }

    /// Whether posting fails now whatever is to be posted, so that going on with something else is of
    /// no use: the database is away, or too many are in the way.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => crate::postgres::is_outage(error),
            other => other.is_transient(),
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Database(_) | Self::Event(_))
    }
}
