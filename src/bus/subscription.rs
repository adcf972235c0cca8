//! A consumer's end of the bus: records come in claims, and a claim is settled.
//!
//! At least once: what was not settled as done comes again, after a restart or at once. Of one topic
//! and key, records come in the order in which they were published.

use super::kafka::KafkaSubscription;
use super::local::LocalClaims;
use super::{BusError, Record};

/// Where a record lies on a broker. The local bus has no places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The place in it.
    pub offset: i64,
}

/// A record that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The record. A key, header or payload that was null is empty here.
    pub record: Record,
    /// Where it lies.
    pub place: Option<Place>,
}

/// One consumer among its group; see the [module](self).
#[derive(Debug)]
pub enum Subscription {
    /// A member of a consumer group.
    Kafka(KafkaSubscription),
    /// A subscriber in this process.
    Local(LocalClaims),
}

impl Subscription {
    /// Waits for records, and takes those that are there, `most` at most. The claim before it has to
    /// be settled. Safe to cancel.
    ///
    /// # Errors
    /// [`BusError`] where the bus is away; the next call goes on.
    pub async fn claim(&mut self, most: usize) -> Result<Vec<Arrived>, BusError> {
        match self {
            Self::Kafka(subscription) => subscription.claim(most).await,
            Self::Local(subscription) => subscription.claim(most).await,
        }
    }

    /// The first `done` records of the claim are done with and won't come again; the others come
    /// again.
    ///
    /// # Errors
    /// [`BusError`] where the bus could not be told: records that are done may come again.
    pub async fn settle(&mut self, done: usize) -> Result<(), BusError> {
        match self {
            Self::Kafka(subscription) => subscription.settle(done).await,
            Self::Local(subscription) => {
                subscription.settle(done);
                Ok(())
            }
        }
    }

    /// Ends it, and has its group know, so that the next member need not wait for the time-out of
    /// this one. What was not settled comes again.
    pub async fn leave(self) {
        match self {
            Self::Kafka(subscription) => subscription.leave().await,
            Self::Local(_) => {}
        }
    }
}
