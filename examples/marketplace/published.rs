//! Counts what is on the topic once the day is over: every record of the run's ledger, repeats
//! included, read again by a consumer that keeps no books. What the witness took in and what it
//! dropped must add up to this.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::money::Currency;

const PATIENCE: Duration = Duration::from_secs(10);
/// Without a record for so long, what is missing won't come.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How many records of the run's ledger are on the topic.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published {
    /// By currency.
    pub records: [u64; 3],
    /// Of no currency that it knows.
    pub unknown: u64,
}

/// Stands before the first record of the day.
pub(crate) struct Counter {
    consumer: BaseConsumer,
    topic: String,
    /// The CloudEvents source of the run's ledger.
    source: String,
    /// Where each partition ended.
    before: HashMap<i32, i64>,
}

impl Counter {
    /// Notes where the topic ends now.
    pub(crate) async fn start(brokers: &str, topic: &str, ledger: &str) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "marketplace-demo-count")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()?;
        let mut counter = Self {
            consumer,
            topic: topic.to_owned(),
            source: format!("/ledgers/{ledger}"),
            before: HashMap::new(),
        };
        spawn_blocking(move || {
            counter.before = counter.ends()?;
            anyhow::Ok(counter)
        })
        .await?
        .with_context(|| format!("Kafka at {brokers}, topic {topic}"))
    }

    /// Counts from there to the end.
    pub(crate) async fn count(self) -> Result<Published> {
        spawn_blocking(move || self.read()).await?
    }

    fn ends(&self) -> Result<HashMap<i32, i64>> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let topics = metadata.topics().iter();
        let mut ends = HashMap::new();
        for partition in topics.flat_map(|topic| topic.partitions()) {
            let id = partition.id();
            let (_, end) = self.consumer.fetch_watermarks(&self.topic, id, PATIENCE)?;
            ends.insert(id, end);
        }
        Ok(ends)
    }

    fn read(&self) -> Result<Published> {
        let mut open = self.ends()?;
        open.retain(|id, end| self.before.get(id).copied().unwrap_or(0) < *end);
        let mut partitions = TopicPartitionList::new();
        for id in open.keys() {
            let from = Offset::Offset(self.before.get(id).copied().unwrap_or(0));
            partitions.add_partition_offset(&self.topic, *id, from)?;
        }
        self.consumer.assign(&partitions)?;
        let mut published = Published::default();
        let mut heard = Instant::now();
        while !open.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    heard = Instant::now();
                    self.take(&record, &mut published);
                    let end = open.get(&record.partition());
                    if end.is_some_and(|end| record.offset() + 1 >= *end) {
                        open.remove(&record.partition());
                    }
                }
                // librdkafka goes on by itself.
                _ if heard.elapsed() < SILENCE_MAX => {}
                _ => bail!("no record since {SILENCE_MAX:?}, and {open:?} not reached"),
            }
        }
        Ok(published)
    }

    fn take(&self, record: &BorrowedMessage<'_>, published: &mut Published) {
        let mut headers = record.headers().into_iter().flat_map(|all| all.iter());
        let source = headers.find(|header| header.key == "ce_source");
        if source.and_then(|source| source.value) != Some(self.source.as_bytes()) {
            return;
        }
        let data: Value =
            serde_json::from_slice(record.payload().unwrap_or_default()).unwrap_or(Value::Null);
        let code = data["entries"][0]["currency"].as_str();
        match code.and_then(Currency::from_code) {
            Some(currency) => published.records[currency.index()] += 1,
            None => published.unknown += 1,
        }
    }
}
