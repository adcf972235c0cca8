//! Replays that run inside `aegisd`, on the bus that it has.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::DlqError;
use super::plan::Plan;
use super::replay::{Notice, Options, Replay};
use crate::bus::Bus;
use crate::postgres::audit::Actor;
use crate::postgres::dead_letters::lock;

/// How long a connection of a replay's own may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long the bus may take to say that it is there.
const PING_MAX: Duration = Duration::from_secs(3);

/// Runs replays. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Replayer {
    pool: PgPool,
    bus: Arc<Bus>,
    runs: TaskTracker,
    stop: CancellationToken,
}

impl Replayer {
    /// Replays to this bus.
    #[must_use]
    pub fn new(pool: PgPool, bus: Arc<Bus>) -> Self {
        Self {
            pool,
            bus,
            runs: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Sees that the messages would reach somebody, so that nothing is begun in vain: that the bus
    /// answers, and of the local one that it has a listener for every topic.
    ///
    /// # Errors
    /// [`DlqError::Bus`], [`DlqError::NobodyListens`].
    pub async fn check_bus(&self, topics: &[String]) -> Result<(), DlqError> {
        let info = self.bus.ping(PING_MAX).await?;
        if let Bus::Kafka(_) = *self.bus {
            return Ok(());
        }
        match topics.iter().find(|topic| !info.topics.contains(topic)) {
            Some(topic) => Err(DlqError::NobodyListens(topic.clone())),
            None => Ok(()),
        }
    }

    /// Begins a replay and returns; it goes on by itself. Its number.
    ///
    /// # Errors
    /// As [`Replay::begin`].
    pub async fn start(
        &self,
        plan: Plan,
        options: Options<'_>,
        actor: Actor,
    ) -> Result<i64, DlqError> {
        let conn = lock::dedicated(&self.pool, CONNECT_MAX).await?;
        let replay = Replay::begin(conn, plan, options, actor).await?;
        let run = replay.id();
        let (bus, stop) = (Arc::clone(&self.bus), self.stop.clone());
        self.runs.spawn(async move {
            tracing::info!(run, "a replay of dead letters begins");
            match replay.run(&bus, &stop, &mut logged).await {
                Ok(report) => {
                    let counts = report.counts;
                    tracing::info!(
                        run, ending = ?report.ending, replayed = counts.replayed,
                        failed = counts.failed, total = counts.total,
                        "a replay of dead letters ended"
                    );
                }
                Err(error) => tracing::error!(run, %error, "a replay of dead letters broke off"),
            }
        });
        Ok(run)
    }

    /// Stops what runs at a safe point, and waits for it.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.runs.close();
        self.runs.wait().await;
    }
}

fn logged(notice: Notice<'_>) {
    match notice {
        Notice::Progress(_) => {}
        Notice::Failed { id, reason } => {
            tracing::warn!(letter = id, reason, "a dead letter could not be replayed");
        }
        Notice::BusAway(reason) => tracing::warn!(reason, "the bus is away; the replay waits"),
    }
}
