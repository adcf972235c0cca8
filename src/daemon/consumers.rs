//! The consumers within the daemon: of settlements, of what failed there, and of dead letters.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::parts::{Part, Starter};
use super::startup::{self, DaemonError};
use crate::bus::topics::{dead_letters_of, with_dead_letters};
use crate::bus::{Bus, BusError, feed};
use crate::config::Config;
use crate::consumer::{self, Options};
use crate::dlq::Indexer;
use crate::postgres::Settings;
use crate::resilience::backoff::Reconnect;

/// Consumers work one message after the other; one connection each, and one to spare.
const CONNECTIONS_MAX: u32 = 4;
const TOPICS_TIMEOUT: Duration = Duration::from_secs(10);

/// Running consumers.
pub(super) struct Consumers {
    parts: Vec<Part>,
    stop: CancellationToken,
    pool: PgPool,
}

impl Consumers {
    /// Subscribes and starts. On the local bus the relay must not run yet: what nobody is subscribed
    /// to is gone.
    pub(super) fn start(
        config: &Config,
        settings: &Settings,
        bus: &Arc<Bus>,
        letters: &Arc<Bus>,
        starter: &Starter,
    ) -> Result<Self, DaemonError> {
        let pool = settings.posting_pool(CONNECTIONS_MAX);
        let kafka = &config.kafka;
        let options = Options {
            schedule: startup::schedule(config),
            poll: config.consumer.poll,
            remembered: config.consumer.remembered,
            topic_transactions: kafka.topic_transactions.clone(),
            patience: consumer::STEP_MAX,
        };
        let group = &kafka.consumer_group;
        let settlements = bus.subscribe(group, &[&kafka.topic_settlements])?;
        let dead =
            [&kafka.topic_transactions, &kafka.topic_settlements].map(|t| dead_letters_of(t));
        let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
        let indexer = Indexer::new(pool.clone()).counting(&dead);
        let dead = bus.subscribe(&format!("{group}.dlq"), &dead)?;
        let (taking, retrying) = consumer::new(pool.clone(), Arc::clone(letters), options);

        let stop = CancellationToken::new();
        let mut parts = Vec::new();
        let stopped = stop.clone();
        parts.push(starter.start("settlement consumer", async move {
            feed("settlements", settlements, taking, stopped).await;
        }));
        let stopped = stop.clone();
        parts.push(starter.start("settlement consumer's retries", async move {
            retrying.run(stopped).await;
        }));
        let stopped = stop.clone();
        parts.push(starter.start("DLQ consumer", async move {
            feed("dead letters", dead, indexer, stopped).await;
        }));
        let (bus, stopped) = (Arc::clone(bus), stop.clone());
        let topics = [&kafka.topic_transactions, &kafka.topic_settlements].map(String::clone);
        let partitions = i32::try_from(kafka.topic_partitions).unwrap_or(i32::MAX);
        parts.push(starter.start("making of topics", async move {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            tokio::select! {
                () = make_topics(&bus, &topics, partitions) => stopped.cancelled().await,
                () = stopped.cancelled() => {}
            }
        }));
        Ok(Self { parts, stop, pool })
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Stops them. What is in their hands comes again at the next start.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        for part in self.parts {
            part.ended().await;
        }
    }
}

/// Tries until the topics are there, and says once why not.
async fn make_topics(bus: &Bus, names: &[&str], partitions: i32) {
    let wanted = with_dead_letters(names, partitions);
    let (mut reconnect, mut told) = (Reconnect::default(), false);
    while let Err(error) = bus.ensure_topics(&wanted, TOPICS_TIMEOUT).await {
        let outage = matches!(error, BusError::Unreachable(_));
        if !outage && !std::mem::replace(&mut told, true) {
            tracing::warn!(%error, "a topic can't be made; make it by hand");
        }
        tokio::time::sleep(reconnect.next_delay()).await;
    }
}
