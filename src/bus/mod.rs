//! The bus: carries records out, to Kafka or to handlers in this process.
//!
//! The guarantee of [`Bus::publish`], for both:
//!
//! 1. **At least once.** `Ok` means that the record is safe: every in-sync
//!    replica has it (Kafka), or every subscriber has finished it (local).
//!    Anything else means "publish again"; some of those may have arrived all
//!    the same, and consumers drop the repeats by event id.
//! 2. **In order per key.** Of the records of one topic and key in a claim,
//!    those that come back `Ok` are the first ones, without a gap: behind the
//!    first that failed, all are [`PublishError::Outage`] or
//!    [`PublishError::Held`]. When the caller publishes what failed again, in the
//!    same order, before anything newer of that key, then a consumer that drops
//!    repeats sees every key's events in their order, also across crashes,
//!    timeouts and a second relay that took over meanwhile.
//! 3. **Trouble is told apart.** `Outage` says nothing about the message and is
//!    not to be counted against it; `Refused` is about this very message.
//!
//! Keys are ordered within one call. Two calls at the same time have no order
//! between them: a key belongs to one relay at a time. A record with an empty
//! key has no order at all.

pub mod feed;
pub mod kafka;
pub mod local;
pub mod subscription;
pub mod topics;

use std::collections::HashMap;
use std::time::Duration;

use crate::resilience::breaker::Breaker;

pub use feed::{Handled, Handler, feed};
pub use kafka::{KafkaBus, KafkaOptions};
pub use local::{Delivery, LocalBus, LocalSubscription};
pub use subscription::{Arrived, Place, Subscription};
pub use topics::TopicSpec;

/// What goes over the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where to.
    pub topic: String,
    /// Whose order matters: a wallet, payment or payout. Empty: no order.
    pub key: Vec<u8>,
    /// Headers in order, see [`crate::event::Envelope::headers`].
    pub headers: Vec<(String, Vec<u8>)>,
    /// The data.
    pub payload: Vec<u8>,
}

/// Why a record was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The bus is in trouble: nothing is said about the message. It may have
    /// arrived; publish it again.
    #[error("the bus could not be reached: {0}")]
    Outage(String),
    /// The bus is well and does not take this message.
    #[error("the message was refused: {reason}")]
    Refused {
        /// Why, in the bus's words.
        reason: String,
    },
    /// Nothing is known to be wrong with it: it waits behind a refused record of
    /// the same key. Publish it again once that one is out of the way. Also what
    /// a claim leaves untried when too many of its records were refused.
    #[error("held back behind a refused message")]
    Held,
}

impl PublishError {
    fn refused(reason: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
        }
    }
}

/// Trouble with the bus itself, outside publishing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The options do not make a client.
    #[error("the bus is not configured well: {0}")]
    Configuration(String),
    /// No answer in time.
    #[error("the bus could not be reached: {0}")]
    Unreachable(String),
    /// The broker's no about one topic.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// The broker's words.
        reason: String,
    },
    /// Another subscription of that name is alive.
    #[error("{0} is subscribed already")]
    Subscribed(String),
}

/// The answer to [`Bus::ping`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Addresses (`host:port`) of the brokers that form the cluster; none for
    /// the local bus.
    pub brokers: Vec<String>,
    /// Names of the topics that exist, sorted; of the local bus those that are
    /// subscribed to.
    pub topics: Vec<String>,
}

/// Kafka, or this process. Shared behind an `Arc`.
#[derive(Debug)]
pub enum Bus {
    /// An Apache Kafka cluster.
    Kafka(KafkaBus),
    /// Handlers in this process.
    Local(LocalBus),
}

impl Bus {
    /// Publishes a claim and waits for all the acknowledgements: one result per
    /// record, in the same order; see the [module](self) for what it promises.
    ///
    /// Dropping the future gives the claim up: some of it may have been
    /// published, and the rest will not be.
    pub async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        match self {
            Self::Kafka(bus) => bus.publish(records).await,
            Self::Local(bus) => bus.publish(records).await,
        }
    }

    /// What pauses publishing; the local bus has nothing that could be away.
    pub fn breaker(&self) -> Option<&Breaker> {
        match self {
            Self::Kafka(bus) => Some(bus.breaker()),
            Self::Local(_) => None,
        }
    }

    /// Becomes a consumer of these topics. With Kafka the name is that of a group whose members
    /// share the topics; on the local bus one of each name is there at a time.
    ///
    /// # Errors
    /// [`BusError::Configuration`] or [`BusError::Subscribed`].
    pub fn subscribe(&self, name: &str, topics: &[&str]) -> Result<Subscription, BusError> {
        match self {
            Self::Kafka(bus) => bus.subscribe(name, topics).map(Subscription::Kafka),
            Self::Local(bus) => {
                let subscription = bus.subscribe(name, topics)?;
                Ok(Subscription::Local(subscription.into()))
            }
        }
    }

    /// Waits until nothing is under way, `deadline` at most.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when something still was by then.
    pub async fn flush(&self, deadline: Duration) -> Result<(), BusError> {
        match self {
            Self::Kafka(bus) => bus.flush(deadline).await,
            // Its records are under way only within `publish`.
            Self::Local(_) => Ok(()),
        }
    }

    /// Asks the bus who it is, for readiness and status.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] without an answer within `timeout`.
    pub async fn ping(&self, timeout: Duration) -> Result<BrokerInfo, BusError> {
        match self {
            Self::Kafka(bus) => bus.ping(timeout).await,
            Self::Local(bus) => Ok(bus.info()),
        }
    }

    /// Makes the topics that are not there yet. Those that are stay as they are.
    ///
    /// # Errors
    /// [`BusError::Topic`] for the first that the broker does not make,
    /// [`BusError::Unreachable`] without an answer within `timeout`.
    pub async fn ensure_topics(
        &self,
        topics: &[TopicSpec],
        timeout: Duration,
    ) -> Result<(), BusError> {
        match self {
            Self::Kafka(bus) => bus.ensure_topics(topics, timeout).await,
            Self::Local(_) => Ok(()),
        }
    }
}

/// Makes the results keep the promise of order: behind the first failure of a
/// key nothing of that key is `Ok`, even if it was acknowledged. Acknowledged
/// over a gap happens when a record is refused and the next of its key was under
/// way already; published again, it is a repeat like any other.
fn close_gaps(records: &[Record], results: &mut [Result<(), PublishError>]) {
    if results.iter().all(Result::is_ok) {
        return;
    }
    let mut failed: HashMap<(&str, &[u8]), PublishError> = HashMap::new();
    for (record, result) in records.iter().zip(results) {
        if record.key.is_empty() {
            continue;
        }
        let lane = (record.topic.as_str(), record.key.as_slice());
        if let Some(behind) = failed.get(&lane) {
            *result = Err(behind.clone());
        } else if let Err(first) = result {
            let behind = match first {
                PublishError::Refused { .. } => PublishError::Held,
                other => other.clone(),
            };
            failed.insert(lane, behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str) -> Record {
        Record {
            topic: "t".into(),
            key: key.into(),
            headers: Vec::new(),
            payload: Vec::new(),
        }
    }

    #[test]
    fn behind_a_failure_nothing_of_the_key_is_ok() {
        let records = ["a", "b", "a", "", "b", "c", ""].map(record);
        let outage = PublishError::Outage("away".into());
        let mut results = vec![
            Err(PublishError::refused("too large")),
            Err(outage.clone()),
            Ok(()),
            Err(PublishError::refused("too large")),
            Err(PublishError::refused("too large")),
            Ok(()),
            Ok(()),
        ];
        close_gaps(&records, &mut results);
        assert_eq!(results[2], Err(PublishError::Held));
        assert_eq!(
            results[4],
            Err(outage),
            "nobody knows before the first went through"
        );
        assert_eq!(results[5], Ok(()), "another key");
        assert_eq!(results[6], Ok(()), "no key, no order");
    }

    #[test]
    fn the_same_key_of_another_topic_is_another_lane() {
        let mut records = vec![record("a"), record("a")];
        records[1].topic = "u".into();
        let mut results = vec![Err(PublishError::refused("no")), Ok(())];
        close_gaps(&records, &mut results);
        assert_eq!(results[1], Ok(()));
    }
}
