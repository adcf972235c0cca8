//! What tests of the parts that break share: a Kafka, a PostgreSQL, a Redis and an `aegisd` to
//! break, a reader, and an order to check.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

pub(crate) mod broker;
pub(crate) mod daemon;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod topic;
pub(crate) mod way;
pub(crate) mod wire;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use aegis::bus::{KafkaBus, KafkaOptions, PublishError, Record, TopicSpec};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

/// Longer than anything here takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A topic of this test alone, deleted by [`Topic::delete`].
pub(crate) struct Topic<'b> {
    bus: &'b KafkaBus,
    pub(crate) name: String,
}

impl<'b> Topic<'b> {
    pub(crate) async fn new(bus: &'b KafkaBus, partitions: i32, settings: &[(&str, &str)]) -> Self {
        let name = format!("test.bus.{}", Uuid::new_v4().simple());
        let spec = TopicSpec::new(&name, partitions);
        let spec = settings
            .iter()
            .fold(spec, |spec, (name, value)| spec.with(*name, *value));
        bus.ensure_topics(&[spec], PATIENCE)
            .await
            .expect("the broker makes a topic");
        Self { bus, name }
    }

    pub(crate) async fn delete(self) {
        self.bus
            .delete_topics(&[&self.name], PATIENCE)
            .await
            .expect("the broker deletes a topic");
    }

    /// A record whose payload says its key and number, padded to `bytes`.
    pub(crate) fn record(&self, key: &str, number: usize, bytes: usize) -> Record {
        let mut payload = format!("{key}:{number}:").into_bytes();
        payload.resize(payload.len().max(bytes), b'.');
        Record {
            topic: self.name.clone(),
            key: key.into(),
            headers: vec![("ce_id".into(), number.to_string().into_bytes())],
            payload,
        }
    }

    /// `each` records of every key, the keys taking turns.
    pub(crate) fn claim(&self, keys: usize, each: usize) -> Vec<Record> {
        let numbers = 0..each;
        numbers
            .flat_map(|number| {
                (0..keys).map(move |key| self.record(&format!("wallet-{key}"), number, 200))
            })
            .collect()
    }
}

pub(crate) fn options(brokers: &str) -> KafkaOptions {
    KafkaOptions::new(brokers)
}

pub(crate) fn brokers() -> String {
    std::env::var("KAFKA_BROKERS")
        .expect("KAFKA_BROKERS is set: run eval \"$(dev/stack env)\" first, or make test")
}

/// How many members a consumer group has.
pub(crate) fn members_of(brokers: &str, group: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap();
    let list = consumer.fetch_group_list(Some(group), PATIENCE).unwrap();
    let found = list.groups().iter().find(|found| found.name() == group);
    found.map_or(0, |group| group.members().len())
}

/// Waits until the broker answers.
pub(crate) async fn ready(bus: &KafkaBus) {
    let started = Instant::now();
    while let Err(error) = bus.ping(Duration::from_secs(1)).await {
        assert!(started.elapsed() < PATIENCE, "{error}");
    }
}

pub(crate) fn refused(result: &Result<(), PublishError>) -> bool {
    matches!(result, Err(PublishError::Refused { .. }))
}

pub(crate) fn outage(result: &Result<(), PublishError>) -> bool {
    matches!(result, Err(PublishError::Outage(_)))
}

/// Publishes as a relay does: what failed again, in the same order, before
/// anything else. Returns how many calls it took.
pub(crate) async fn publish_until_done(bus: &KafkaBus, records: &[Record]) -> usize {
    let started = Instant::now();
    let mut waiting = records.to_vec();
    let mut calls = 0;
    while !waiting.is_empty() {
        assert!(started.elapsed() < PATIENCE, "{} left", waiting.len());
        let results = bus.publish(&waiting).await;
        assert_eq!(results.len(), waiting.len());
        let mut results = results.iter();
        waiting.retain(|_| results.next().is_some_and(Result::is_err));
        calls += 1;
        if !waiting.is_empty() {
            // An open breaker answers at once: others need the processor, too.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    calls
}

/// A record as it came out, with the partition that it was on.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) partition: i32,
    pub(crate) record: Record,
}

/// All that is on a topic now, each partition in its order.
pub(crate) async fn read_all(brokers: &str, topic: &str) -> Vec<Arrived> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read_blocking(&brokers, &topic))
        .await
        .unwrap()
}

fn read_blocking(brokers: &str, topic: &str) -> Vec<Arrived> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test.bus")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut open = HashMap::new();
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let id = partition.id();
        let (low, high) = consumer.fetch_watermarks(topic, id, PATIENCE).unwrap();
        if low < high {
            open.insert(id, high);
            assignment
                .add_partition_offset(topic, id, Offset::Beginning)
                .unwrap();
        }
    }
    consumer.assign(&assignment).unwrap();
    let mut arrived = Vec::new();
    while !open.is_empty() {
        let message = consumer.poll(PATIENCE).expect("a message").unwrap();
        let partition = message.partition();
        arrived.push(Arrived {
            partition,
            record: record(&message),
        });
        if open
            .get(&partition)
            .is_some_and(|high| message.offset() + 1 >= *high)
        {
            open.remove(&partition);
        }
    }
    arrived
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|all| all.iter());
    Record {
        topic: message.topic().into(),
        key: message.key().unwrap_or_default().into(),
        headers: headers
            .map(|header| (header.key.into(), header.value.unwrap_or_default().into()))
            .collect(),
        payload: message.payload().unwrap_or_default().into(),
    }
}

/// What a consumer that drops repeats sees is what was published, each key in
/// its order. Returns the number of repeats.
pub(crate) fn assert_complete_and_in_order(published: &[Record], arrived: &[Arrived]) -> usize {
    let mut seen = HashSet::new();
    let mut by_key: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    let mut partitions: HashMap<&[u8], i32> = HashMap::new();
    for Arrived { partition, record } in arrived {
        let home = *partitions.entry(&record.key).or_insert(*partition);
        assert_eq!(home, *partition, "a key stays on one partition");
        if seen.insert(&record.payload) {
            by_key.entry(&record.key).or_default().push(&record.payload);
        }
    }
    let mut expected: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for record in published {
        expected
            .entry(&record.key)
            .or_default()
            .push(&record.payload);
    }
    for (key, payloads) in &expected {
        let name = String::from_utf8_lossy(key);
        let got = by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        let first = payloads.iter().zip(got).position(|(want, got)| want != got);
        assert_eq!(first, None, "{name}: the first that is out of order");
        assert_eq!(got.len(), payloads.len(), "{name}: all of it arrived");
    }
    assert_eq!(by_key.len(), expected.len(), "nothing else arrived");
    arrived.len() - seen.len()
}
