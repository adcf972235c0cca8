//! A member of a consumer group. Offsets are committed for what is done with, and by nothing else.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{CommitMode, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::KafkaBus;
use super::producer::{Watch, misconfigured};
use crate::bus::{Arrived, BusError, Place, Record};

/// How much of payloads a claim holds, unless one record alone is larger.
const CLAIM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the broker may take to take an offset, or the client to go back to one.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// Stands for a header whose name is not UTF-8, and whose value can't be had.
const UNREADABLE_NAME: &str = "\u{fffd}";

/// How long to wait until the group knows that a member left.
const LEAVE_MAX: Duration = Duration::from_secs(3);

/// See [`crate::bus::Subscription`].
pub struct KafkaSubscription {
    /// `None` once the group is left.
    consumer: Option<Arc<StreamConsumer<Watch>>>,
    /// The claim that is not settled: topic and place of each record.
    claimed: Vec<(String, Place)>,
}

impl ConsumerContext for Watch {}

impl KafkaBus {
    /// Joins the group of that name. A new group begins with the oldest record.
    ///
    /// # Errors
    /// [`BusError::Configuration`] for options that librdkafka does not take.
    pub fn subscribe(&self, group: &str, topics: &[&str]) -> Result<KafkaSubscription, BusError> {
        let mut config = self.options.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            // A member that died is found out, and its partitions go on elsewhere.
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "2000")
            .set("queued.max.messages.kbytes", "16384")
            // A topic that is made later is found within seconds.
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("allow.auto.create.topics", "false");
        let watch = Watch::bystander(&self.contact);
        let consumer = StreamConsumer::from_config_and_context(&config, watch);
        let consumer = consumer.map_err(misconfigured)?;
        consumer.subscribe(topics).map_err(misconfigured)?;
        Ok(KafkaSubscription {
            consumer: Some(Arc::new(consumer)),
            claimed: Vec::new(),
        })
    }
}

impl KafkaSubscription {
    pub(in crate::bus) async fn claim(&mut self, most: usize) -> Result<Vec<Arrived>, BusError> {
        let mut arrived = Vec::new();
        let mut bytes = 0_usize;
        let consumer = self.consumer()?;
        let first = consumer.recv().await.map_err(away)?;
        let mut next = Some(first);
        while let Some(message) = next.take() {
            bytes = bytes.saturating_add(message.payload_len());
            arrived.push(arrived_of(&message));
            if arrived.len() < most && bytes < CLAIM_BYTES_MAX {
                // An error comes again with the next claim.
                next = consumer.recv().now_or_never().and_then(Result::ok);
            }
        }
        let places = arrived.iter();
        self.claimed = places
            .filter_map(|one| Some((one.record.topic.clone(), one.place?)))
            .collect();
        Ok(arrived)
    }

    pub(in crate::bus) async fn settle(&mut self, done: usize) -> Result<(), BusError> {
        let claimed = std::mem::take(&mut self.claimed);
        let (finished, rest) = claimed.split_at(done.min(claimed.len()));
        // The last one of each partition counts, and of those that come again the first.
        let (mut commits, mut returns) = (BTreeMap::new(), BTreeMap::new());
        for (topic, place) in finished {
            let next = place.offset.saturating_add(1);
            commits.insert((topic.as_str(), place.partition), next);
        }
        for (topic, place) in rest {
            let lane = (topic.as_str(), place.partition);
            returns.entry(lane).or_insert(place.offset);
        }
        let (commits, returns) = (offsets(&commits), offsets(&returns));
        let consumer = self.consumer()?;
        let settled = spawn_blocking(move || {
            // First back to what is not done: that can't wait for a broker.
            if returns.count() > 0 {
                consumer.seek_partitions(returns, SETTLE_MAX)?;
            }
            if commits.count() > 0 {
                consumer.commit(&commits, CommitMode::Sync)?;
            }
            Ok::<_, KafkaError>(())
        });
        match tokio::time::timeout(SETTLE_MAX, settled).await {
            Ok(Ok(settled)) => settled.map_err(away),
            Ok(Err(error)) => Err(BusError::Unreachable(error.to_string())),
            Err(_) => Err(BusError::Unreachable("no answer to a commit".into())),
        }
    }

    /// Until the group knows, it keeps the member's partitions for it, and the next member waits.
    pub(in crate::bus) async fn leave(mut self) {
        if let Some(consumer) = self.consumer.take() {
            let left = spawn_blocking(move || leave(consumer));
            drop(tokio::time::timeout(LEAVE_MAX, left).await);
        }
    }

    fn consumer(&self) -> Result<Arc<StreamConsumer<Watch>>, BusError> {
        let consumer = self.consumer.as_ref().map(Arc::clone);
        consumer.ok_or_else(|| BusError::Unreachable("the group was left".into()))
    }
}

impl Drop for KafkaSubscription {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let thread = std::thread::Builder::new().name("kafka-leave".into());
            drop(thread.spawn(move || leave(consumer)));
        }
    }
}

/// Leaves the group, which takes up to seconds.
fn leave(consumer: Arc<StreamConsumer<Watch>>) {
    consumer.unsubscribe();
    drop(consumer);
}

impl std::fmt::Debug for KafkaSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSubscription")
            .field("claimed", &self.claimed.len())
            .finish_non_exhaustive()
    }
}

fn offsets(by_lane: &BTreeMap<(&str, i32), i64>) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(by_lane.len());
    for ((topic, partition), offset) in by_lane {
        // Fails for negative offsets alone, which no record has.
        drop(list.add_partition_offset(topic, *partition, Offset::Offset(*offset)));
    }
    list
}

fn arrived_of(message: &BorrowedMessage<'_>) -> Arrived {
    let record = Record {
        topic: message.topic().to_owned(),
        key: message.key().unwrap_or_default().to_vec(),
        headers: headers_of(message),
        payload: message.payload().unwrap_or_default().to_vec(),
    };
    let place = Place {
        partition: message.partition(),
        offset: message.offset(),
    };
    Arrived {
        record,
        place: Some(place),
    }
}

fn headers_of(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let Some(headers) = message.headers() else {
        return Vec::new();
    };
    let header = |at| {
        let header = headers.get(at);
        (
            header.key.to_owned(),
            header.value.unwrap_or_default().to_vec(),
        )
    };
    let all = 0..headers.count();
    // rdkafka panics on a name that is not UTF-8, and there is no other way to the header. It must
    // not take the process down each time that the message is read.
    all.map(|at| {
        let read = catch_unwind(AssertUnwindSafe(|| header(at)));
        read.unwrap_or_else(|_| (UNREADABLE_NAME.to_owned(), Vec::new()))
    })
    .collect()
}

fn away(error: KafkaError) -> BusError {
    BusError::Unreachable(error.to_string())
}
