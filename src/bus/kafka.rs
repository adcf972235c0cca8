//! The bus over Apache Kafka, and how it keeps order while things break.
//!
//! A claim is handed to the idempotent producer in order and all its
//! acknowledgements are awaited. Records of one key go to one partition, and
//! there the *series* of records that one producer was given is written in order
//! and without a gap, or cut short, never with a hole. That takes three things:
//!
//! - **No message times out by itself** (`message.timeout.ms=0`). A message that
//!   timed out alone would leave a hole that the next one of its key jumps over.
//!   Instead the claim is *cut*: when a record is not acknowledged
//!   [`KafkaOptions::delivery_timeout`] after the one before it, the whole
//!   producer is retired, with all it had queued and in flight, and the next
//!   claim gets a new one. The same happens when the future of a claim is
//!   dropped, and after a fatal error of the idempotent producer.
//! - **No batch is skipped** (`enable.gapless.guarantee`). A broker refuses a
//!   whole batch for one bad record, and the next batch of the partition would
//!   go on without it. With this a refused batch is fatal: the producer is
//!   retired, and the claim's remainder is published in halves until the one
//!   record is found that the broker does not take. Its neighbours pass.
//! - **A retired producer takes nothing more.** What it had handed to the network
//!   may still be written, even after the next producer's records: it is the
//!   beginning of the same series in the same order, so it can repeat records but
//!   never bring one before the first arrival of an earlier one of its key.
//!
//! What is too large for `message.max.bytes` or has an impossible topic is
//! refused here, before it enters a series, and the rest of its key is held.
//!
//! A [`Breaker`] stands around it: outages count, refusals don't, and while it is
//! open a claim comes back at once rather than after its timeout.

mod admin;
mod claim;
mod consumer;
mod producer;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use tokio::sync::RwLock;

use super::{BusError, PublishError, Record};
use crate::resilience::breaker::{Breaker, BreakerOptions};
use claim::{Claim, Series};
pub use consumer::KafkaSubscription;
use producer::{Contact, Fault, Producer};

/// How often one claim may lose its producer to refused batches before what is
/// left of it is held for the next claim. Finding one record among 2,000 takes 12,
/// each about half a second, since a new producer asks the broker for an identity.
const REFUSED_BATCHES_MAX: u32 = 32;

/// Below this a healthy broker's pause would count as an outage.
const DELIVERY_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// How to reach a cluster.
#[derive(Clone)]
pub struct KafkaOptions {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// The name that the brokers' logs show.
    pub client_id: String,
    /// How long a claim waits for its next acknowledgement before it counts as
    /// an outage. From 1 s; 10 s unless said.
    pub delivery_timeout: Duration,
    /// The largest record (key, headers and payload before compression), 1,000 to
    /// 1,000,000,000 bytes; 1,000,000 unless said, which Kafka's own default for
    /// topics (`max.message.bytes`) fits.
    pub record_bytes_max: u32,
    /// What pauses publishing: 5 outages in a row, 30 s, unless said. Clients of one cluster may
    /// share it.
    pub breaker: Arc<Breaker>,
    /// Further settings by librdkafka's names, such as `security.protocol` and
    /// `sasl.*`. Those that the guarantees rest on can't be changed here.
    pub settings: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// The defaults for these brokers.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: "aegis".into(),
            delivery_timeout: Duration::from_secs(10),
            record_bytes_max: 1_000_000,
            breaker: Arc::new(Breaker::new("kafka", BreakerOptions::default())),
            settings: BTreeMap::new(),
        }
    }

    /// What every client of the cluster is made with.
    fn client(&self) -> ClientConfig {
        // A request that hangs (a frozen broker, a half-open connection) is given
        // up and sent again well before the claim is.
        let request_ms = (self.delivery_timeout.as_millis() / 3).clamp(1_000, 10_000);
        let mut config = ClientConfig::new();
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("socket.timeout.ms", request_ms.to_string())
            .set("socket.connection.setup.timeout.ms", request_ms.to_string())
            .set("reconnect.backoff.max.ms", "2000")
            .set("statistics.interval.ms", "0")
            // All lines come to `Contact`, which keeps them at debug.
            .set_log_level(RDKafkaLogLevel::Info);
        config
    }

    fn producer(&self) -> ClientConfig {
        let settle_ms = (self.delivery_timeout.as_millis() / 3).min(5_000);
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            .set("max.in.flight.requests.per.connection", "5")
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", self.record_bytes_max.to_string())
            // The Java clients' partitioner: a key lands where they expect it.
            .set("partitioner", "murmur2_random")
            .set("compression.codec", "lz4")
            .set("linger.ms", "2")
            .set("queue.buffering.max.kbytes", "131072")
            // Topics are made on purpose, with their number of partitions.
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.propagation.max.ms", settle_ms.to_string());
        config
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names alone: among the values are passwords and keys.
        f.debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("client_id", &self.client_id)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("record_bytes_max", &self.record_bytes_max)
            .field("breaker", &self.breaker)
            .field("settings", &self.settings.keys())
            .finish()
    }
}

/// A Kafka cluster to publish to.
#[derive(Debug)]
pub struct KafkaBus {
    options: KafkaOptions,
    contact: Arc<Contact>,
    producer: Mutex<Option<Arc<Producer>>>,
    /// Claims share it; a claim that looks for the record that a broker refuses
    /// has it alone, so that no other's record can be in the refused batch.
    floor: RwLock<()>,
}

impl KafkaBus {
    /// Makes the client. It connects on its own, now and after every loss;
    /// brokers that are away are no error here.
    ///
    /// # Errors
    /// [`BusError::Configuration`] for options out of range or that librdkafka
    /// does not take.
    pub fn new(options: KafkaOptions) -> Result<Self, BusError> {
        if options.delivery_timeout < DELIVERY_TIMEOUT_MIN {
            let reason = format!("the delivery timeout is below {DELIVERY_TIMEOUT_MIN:?}");
            return Err(BusError::Configuration(reason));
        }
        let contact = Arc::<Contact>::default();
        let producer =
            Producer::new(&options.producer(), &contact).map_err(producer::misconfigured)?;
        Ok(Self {
            options,
            contact,
            producer: Mutex::new(Some(Arc::new(producer))),
            floor: RwLock::new(()),
        })
    }

    /// See [`super::Bus::publish`]. Returns within
    /// [`delivery_timeout`](KafkaOptions::delivery_timeout) and a few seconds
    /// after the last acknowledgement.
    pub async fn publish(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let permit = match self.options.breaker.permit(Instant::now()) {
            Ok(permit) => permit,
            Err(away) => {
                let outage = PublishError::Outage(away.to_string());
                return vec![Err(outage); records.len()];
            }
        };
        let results = self.publish_permitted(records).await;
        let outage = results.iter().find_map(|result| match result {
            Err(PublishError::Outage(reason)) => Some(reason),
            _ => None,
        });
        match outage {
            Some(reason) => permit.failed(Instant::now(), reason),
            None => permit.succeeded(),
        }
        results
    }

    /// What pauses publishing while the brokers are away.
    pub fn breaker(&self) -> &Breaker {
        &self.options.breaker
    }

    async fn publish_permitted(&self, records: &[Record]) -> Vec<Result<(), PublishError>> {
        let mut claim = Claim::new(records);
        let whole: Vec<usize> = (0..records.len()).collect();
        let shared = self.floor.read().await;
        let outcome = self.send(&mut claim, &whole).await;
        drop(shared);
        match outcome {
            Part::Settled => {}
            Part::Cut { rest, reason } => claim.outage(&rest, &reason),
            Part::BatchRefused { rest, .. } => self.single_out(&mut claim, rest).await,
        }
        claim.into_results()
    }

    /// Publishes in halves what was left when a batch was refused, until each
    /// record that the broker does not take stood alone.
    async fn single_out(&self, claim: &mut Claim<'_>, rest: Vec<usize>) {
        let _alone = self.floor.write().await;
        let mut parts = vec![rest];
        let mut refused_batches = 0;
        while let Some(part) = parts.pop() {
            match self.send(claim, &part).await {
                Part::Settled => {}
                Part::Cut { rest, reason } => {
                    claim.outage(&rest, &reason);
                    parts.iter().for_each(|part| claim.outage(part, &reason));
                    return;
                }
                Part::BatchRefused { rest, reason } => {
                    refused_batches += 1;
                    if let [only] = rest[..] {
                        claim.settle(only, Err(PublishError::refused(reason)));
                    } else if refused_batches < REFUSED_BATCHES_MAX {
                        let (first, second) = rest.split_at(rest.len() / 2);
                        parts.push(second.to_vec());
                        parts.push(first.to_vec());
                    } else {
                        // Unsettled is held: the next claim goes on from here.
                        return;
                    }
                }
            }
        }
    }

    /// Hands these records to the producer in order and settles them as they are
    /// acknowledged.
    async fn send(&self, claim: &mut Claim<'_>, part: &[usize]) -> Part {
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(reason) => return Part::cut(part, reason),
        };
        // Retires the producer if this future is dropped before the end.
        let mut series = Series::new(&producer, self.options.delivery_timeout);
        for &at in part {
            if claim.is_held(at) {
                continue;
            }
            match series.hand_over(claim, at).await {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(()) => break,
            }
        }
        series.finish(claim).await;
        let acknowledged = series.acknowledged();
        let Some(fault) = series.into_fault() else {
            if acknowledged {
                self.contact.works();
            }
            return Part::Settled;
        };
        let rest = claim.unsettled(part);
        match fault {
            Fault::BatchRefused(reason) => Part::BatchRefused { rest, reason },
            Fault::Refused(reason) | Fault::Outage(reason) => {
                Part::cut(&rest, self.contact.interrupted(reason))
            }
        }
    }

    /// The producer, a new one if the last was retired.
    fn producer(&self) -> Result<Arc<Producer>, String> {
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = current.as_ref().filter(|producer| !producer.is_retired()) {
            return Ok(Arc::clone(producer));
        }
        let made = Producer::new(&self.options.producer(), &self.contact);
        let producer = Arc::new(made.map_err(|error| error.to_string())?);
        *current = Some(Arc::clone(&producer));
        Ok(producer)
    }
}

/// How the sending of a part of a claim ended.
enum Part {
    /// Every record of it has its result.
    Settled,
    /// The bus is in trouble; these have no result.
    Cut { rest: Vec<usize>, reason: String },
    /// A broker refused a batch; these have no result, one of them is to blame.
    BatchRefused { rest: Vec<usize>, reason: String },
}

impl Part {
    fn cut(rest: &[usize], reason: String) -> Self {
        Self::Cut {
            rest: rest.to_vec(),
            reason,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;

    #[test]
    fn the_guarantees_can_not_be_configured_away() {
        let mut options = KafkaOptions::new("localhost:9092");
        for (name, value) in [
            ("enable.idempotence", "false"),
            ("message.timeout.ms", "5"),
            ("acks", "1"),
            ("sasl.username", "aegis"),
        ] {
            options.settings.insert(name.into(), value.into());
        }
        let config = options.producer();
        assert_eq!(config.get("enable.idempotence"), Some("true"));
        assert_eq!(config.get("message.timeout.ms"), Some("0"));
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("sasl.username"), Some("aegis"));
    }

    #[test]
    fn an_unknown_setting_is_told_at_once() {
        let mut options = KafkaOptions::new("localhost:9092");
        options.settings.insert("no.such".into(), "1".into());
        let error = KafkaBus::new(options).unwrap_err();
        assert!(matches!(error, BusError::Configuration(reason) if reason.contains("no.such")));
    }

    #[test]
    fn secrets_do_not_show() {
        let mut options = KafkaOptions::new("localhost:9092");
        let secret = "hunter2";
        options
            .settings
            .insert("sasl.password".into(), secret.into());
        assert!(!format!("{options:?}").contains(secret));

        options.settings.insert("retries".into(), secret.into());
        let error = KafkaBus::new(options).unwrap_err().to_string();
        assert!(!error.contains(secret), "{error}");
        assert!(error.contains("retries"), "{error}");
    }

    #[test]
    fn a_timeout_that_no_broker_could_keep_is_refused() {
        let mut options = KafkaOptions::new("localhost:9092");
        options.delivery_timeout = Duration::from_millis(999);
        let error = KafkaBus::new(options).unwrap_err();
        assert!(matches!(error, BusError::Configuration(_)));
    }
}
