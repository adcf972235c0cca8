//! Why a decision was not carried out.

use crate::bus::BusError;
use crate::postgres::dead_letters::replays::Run;

/// Why letters were not decided on, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    /// A replay is at a topic.
    #[error("{} is at {topic}{}", which(.by.as_deref()), told(.by.as_deref()))]
    Busy {
        /// The topic.
        topic: String,
        /// Which one, where it has said so already.
        by: Option<Box<Run>>,
    },
    /// The database failed before anything was done.
    #[error("the dead letters can't be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// The bus can't take the messages.
    #[error("{0}")]
    Bus(#[from] BusError),
    /// Nobody within this process would hear of it.
    #[error("nobody listens to {0} on the local bus, so that a replay would reach nobody")]
    NobodyListens(String),
    /// The database failed in the middle of a replay. What was marked is done; a batch that was under
    /// way may have been published, and its letters wait as before.
    #[error("replay {run} lost the database behind {replayed} replayed letters: {source}")]
    Lost {
        /// The run.
        run: i64,
        /// Letters that were replayed and marked.
        replayed: i64,
        /// What happened.
        source: sqlx::Error,
    },
}

impl DlqError {
    /// A replay is at a topic, perhaps this one.
    pub(super) fn busy(topic: &str, by: Option<Run>) -> Self {
        let (topic, by) = (topic.to_owned(), by.map(Box::new));
        Self::Busy { topic, by }
    }
}

fn which(run: Option<&Run>) -> String {
    run.map_or_else(|| "a replay".to_owned(), |run| format!("replay {}", run.id))
}

fn told(run: Option<&Run>) -> String {
    run.map_or_else(String::new, |run| {
        format!(
            ", begun by {} from {}, {} of {} letters so far",
            run.started_by,
            run.host,
            run.replayed.saturating_add(run.failed),
            run.total
        )
    })
}
