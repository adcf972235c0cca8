//! The consumers within the daemon: of settlements, of what failed there, and of dead letters.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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
    tasks: JoinSet<&'static str>,
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
        let dead = bus.subscribe(&format!("{group}.dlq"), &dead)?;
        let (taking, retrying) = consumer::new(pool.clone(), Arc::clone(letters), options);
        let indexer = Indexer::new(pool.clone());

        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let stopped = stop.clone();
        tasks.spawn(async move {
            feed("settlements", settlements, taking, stopped).await;
            "settlement consumer"
        });
        let stopped = stop.clone();
        tasks.spawn(async move {
            retrying.run(stopped).await;
            "settlement consumer's retries"
        });
        let stopped = stop.clone();
        tasks.spawn(async move {
            feed("dead letters", dead, indexer, stopped).await;
            "DLQ consumer"
        });
        let (bus, stopped) = (Arc::clone(bus), stop.clone());
        let topics = [&kafka.topic_transactions, &kafka.topic_settlements].map(String::clone);
        let partitions = i32::try_from(kafka.topic_partitions).unwrap_or(i32::MAX);
        tasks.spawn(async move {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            tokio::select! {
                () = make_topics(&bus, &topics, partitions) => stopped.cancelled().await,
                () = stopped.cancelled() => {}
            }
            "making of topics"
        });
        Ok(Self { tasks, stop, pool })
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The first that ends by itself.
    pub(super) async fn ended(&mut self) -> &'static str {
        match self.tasks.join_next().await {
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                tracing::error!(%error, "a consumer did not end well");
                "consumers"
            }
            None => "consumers",
        }
    }

    /// Stops them. What is in their hands comes again at the next start.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            super::report("consumers", ended);
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
