//! Reads the events back from Kafka, as another service would: with librdkafka's own consumer, from
//! the offsets that stood before the day began. It shares no code with the relay that wrote them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::task::JoinHandle;

use crate::witness::Witness;

const PATIENCE: Duration = Duration::from_secs(10);
/// Without a record for so long, what is missing won't come.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What the reading thread is to do.
const FOLLOW: u8 = 0;
const FINISH: u8 = 1;
const GIVE_UP: u8 = 2;

/// What was read, and when the last of it came.
pub(crate) type Read = (Witness, Instant);

/// Follows the topic while the day goes on.
#[derive(Debug)]
pub(crate) struct Consumer {
    task: Arc<AtomicU8>,
    reader: Option<JoinHandle<Result<Read>>>,
}

impl Consumer {
    /// Takes the ends of all partitions for its beginning, and reads on in a thread of its own.
    pub(crate) async fn start(
        brokers: &str,
        topic: &str,
        ledger: &str,
        witness: Witness,
        bar: ProgressBar,
    ) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            // Named for the broker's logs: partitions are taken by hand, no offset is committed.
            .set("group.id", "marketplace-demo")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .create()?;
        let task = Arc::new(AtomicU8::new(FOLLOW));
        let mut reader = Reader {
            consumer,
            topic: topic.to_owned(),
            source: format!("/ledgers/{ledger}"),
            next: HashMap::new(),
            witness,
            task: Arc::clone(&task),
            bar,
        };
        let reader = tokio::task::spawn_blocking(move || {
            reader.next = reader.ends()?;
            reader.assign()?;
            anyhow::Ok(reader)
        });
        let reader = reader
            .await?
            .with_context(|| format!("Kafka at {brokers}, topic {topic}"))?;
        let reader = tokio::task::spawn_blocking(move || reader.run());
        Ok(Self {
            task,
            reader: Some(reader),
        })
    }

    /// Reads to the ends of the partitions as they stand now.
    pub(crate) async fn finish(mut self) -> Result<Read> {
        self.task.store(FINISH, Ordering::Relaxed);
        let reader = self.reader.take().context("the consumer has ended")?;
        reader.await?
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // The thread would keep the process from ending.
        if self.reader.is_some() {
            self.task.store(GIVE_UP, Ordering::Relaxed);
        }
    }
}

struct Reader {
    consumer: BaseConsumer,
    topic: String,
    /// The CloudEvents source of the run's ledger; other ledgers share the topic.
    source: String,
    /// The offset behind the last record of each partition.
    next: HashMap<i32, i64>,
    witness: Witness,
    task: Arc<AtomicU8>,
    /// Shows how many different transactions have come.
    bar: ProgressBar,
}

impl Reader {
    /// Where each partition ends now.
    fn ends(&self) -> Result<HashMap<i32, i64>> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        let partitions = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        let mut ends = HashMap::new();
        for partition in partitions {
            let (_, end) = self
                .consumer
                .fetch_watermarks(&self.topic, partition.id(), PATIENCE)?;
            ends.insert(partition.id(), end);
        }
        if ends.is_empty() {
            bail!("the topic has no partitions: is it there?");
        }
        Ok(ends)
    }

    fn assign(&self) -> Result<()> {
        let mut partitions = TopicPartitionList::new();
        for (&partition, &offset) in &self.next {
            partitions.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        }
        Ok(self.consumer.assign(&partitions)?)
    }

    fn run(mut self) -> Result<Read> {
        let mut goal = None;
        let (mut heard, mut came) = (Instant::now(), Instant::now());
        let mut trouble = None;
        loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    heard = Instant::now();
                    self.next.insert(record.partition(), record.offset() + 1);
                    read(&mut self.witness, &self.source, &record);
                    let transactions = self.witness.transactions() as u64;
                    if transactions > self.bar.position() {
                        came = heard;
                        self.bar.set_position(transactions);
                    }
                }
                // librdkafka goes on by itself; it matters where nothing comes any more.
                Some(Err(error)) => trouble = Some(error),
                None => {}
            }
            match (self.task.load(Ordering::Relaxed), &goal) {
                (FOLLOW, _) => heard = Instant::now(),
                (GIVE_UP, _) => bail!("given up"),
                (_, None) => goal = Some(self.ends()?),
                (_, Some(goal)) if self.has_reached(goal) => return Ok((self.witness, came)),
                (_, Some(goal)) if heard.elapsed() > SILENCE_MAX => {
                    bail!(
                        "no record since {SILENCE_MAX:?}, at {:?} of {goal:?}: {trouble:?}",
                        self.next
                    )
                }
                _ => {}
            }
        }
    }

    fn has_reached(&self, goal: &HashMap<i32, i64>) -> bool {
        goal.iter()
            .all(|(partition, end)| self.next.get(partition) >= Some(end))
    }
}

/// Takes an event of the run's ledger to the witness: CloudEvents in Kafka's binary mode, the
/// attributes in headers, the data as JSON.
fn read(witness: &mut Witness, source: &str, record: &BorrowedMessage<'_>) {
    let header = |name: &str| {
        let found = record.headers()?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    if header("ce_source") != Some(source) {
        return;
    }
    let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
    let id = header("ce_id").unwrap_or("without an id");
    witness.event(
        id,
        key.unwrap_or_default(),
        record.payload().unwrap_or_default(),
    );
}
