//! One idempotent producer from its making to its retirement, and what its
//! errors mean.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use rdkafka::util::Timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::bus::{BusError, Record};

/// How long a retired producer may take to account for what it had.
pub(super) const RETIREMENT_MAX: Duration = Duration::from_secs(2);

/// Why a record was not written.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// This record can't be published.
    Refused(String),
    /// A batch with this record in it was refused by a broker.
    BatchRefused(String),
    /// Anything else.
    Outage(String),
}

impl Fault {
    /// The producer went without telling what became of the record.
    pub(super) fn unknown() -> Self {
        Self::Outage("the claim was cut short".into())
    }
}

impl From<&KafkaError> for Fault {
    fn from(error: &KafkaError) -> Self {
        let KafkaError::MessageProduction(code) = error else {
            return match error {
                KafkaError::Nul(_) => Self::Refused("the topic's name holds a NUL".into()),
                _ => Self::Outage(error.to_string()),
            };
        };
        let reason = code.to_string();
        match code {
            Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::InvalidArgument => Self::Refused(reason),
            Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidMessage
            | Code::InvalidRecord
            | Code::InvalidDifferentRecord
            | Code::InvalidTimestamp
            | Code::PolicyViolation
            | Code::UnsupportedForMessageFormat => Self::BatchRefused(reason),
            _ => Self::Outage(reason),
        }
    }
}

/// What is wrong with a configuration, without the value: it may be a secret.
pub(super) fn misconfigured(error: KafkaError) -> BusError {
    let reason = match error {
        KafkaError::ClientConfig(_, reason, setting, value) if !value.is_empty() => {
            format!("{setting}: {}", reason.replace(&value, "…"))
        }
        KafkaError::ClientConfig(_, reason, setting, _) => format!("{setting}: {reason}"),
        other => other.to_string(),
    };
    BusError::Configuration(reason)
}

/// A producer that is given records until it is retired.
pub(super) struct Producer {
    /// `None` once retired: the lock is held while a record is handed over, so
    /// that none can slip in behind the purge.
    inner: Mutex<Option<FutureProducer<Watch>>>,
    /// Cancelled when librdkafka declares the producer dead, and by retirement.
    ended: CancellationToken,
}

impl Producer {
    pub(super) fn new(config: &ClientConfig, contact: &Arc<Contact>) -> Result<Self, KafkaError> {
        let ended = CancellationToken::new();
        let watch = Watch {
            contact: Arc::clone(contact),
            ended: ended.clone(),
        };
        let inner = FutureProducer::from_config_and_context(config, watch)?;
        Ok(Self {
            inner: Mutex::new(Some(inner)),
            ended,
        })
    }

    /// Queues a record; `None` when the queue is full.
    pub(super) fn enqueue(&self, record: &Record) -> Result<Option<Acknowledgement>, Fault> {
        let inner = self.lock();
        let Some(inner) = inner.as_ref() else {
            return Err(Fault::unknown());
        };
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let message = FutureRecord::<[u8], [u8]> {
            topic: &record.topic,
            partition: None,
            payload: Some(&record.payload),
            key: (!record.key.is_empty()).then_some(&record.key),
            timestamp: None,
            headers: Some(headers),
        };
        match inner.send_result(message) {
            Ok(delivery) => Ok(Some(Acknowledgement(delivery))),
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Ok(None),
            // Refused before it entered a series: no other is touched by it.
            Err((KafkaError::MessageProduction(Code::MessageSizeTooLarge), _)) => {
                Err(Fault::Refused(Code::MessageSizeTooLarge.to_string()))
            }
            Err((error, _)) => Err(Fault::from(&error)),
        }
    }

    /// Takes no more records and drops those it has, queued or in flight. Returns
    /// at once; their acknowledgements follow shortly.
    pub(super) fn retire(&self) {
        let Some(inner) = self.lock().take() else {
            return;
        };
        self.ended.cancel();
        inner.purge(PurgeConfig::default().queue().inflight().non_blocking());
        dispose(inner);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.ended.is_cancelled() || self.lock().is_none()
    }

    /// Waits for the end: librdkafka has declared the producer dead, or it was
    /// retired, by this claim or another.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The client underneath, for calls that block.
    pub(super) fn client(&self) -> Option<FutureProducer<Watch>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<FutureProducer<Watch>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.retire();
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("retired", &self.is_retired())
            .finish()
    }
}

/// Drops a client on a thread of its own: that joins its threads, which takes up
/// to a second and must not hold up a worker of the runtime.
fn dispose(inner: FutureProducer<Watch>) {
    let thread = std::thread::Builder::new().name("kafka-retire".into());
    let spawned = thread.spawn(move || {
        // Lets the polling thread tell every record's fate before it stops.
        if let Err(error) = inner.flush(Timeout::After(RETIREMENT_MAX)) {
            debug!(%error, "a retired kafka producer left records behind");
        }
        drop(inner);
    });
    if let Err(error) = spawned {
        debug!(%error, "no thread to retire a kafka producer on");
    }
}

/// A record's fate, once it is known.
pub(super) struct Acknowledgement(DeliveryFuture);

impl Future for Acknowledgement {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(context).map(|known| match known {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(Fault::from(&error)),
            Err(_) => Err(Fault::unknown()),
        })
    }
}

/// Whether publishing works, so that a change is told once.
#[derive(Debug, Default)]
pub(super) struct Contact {
    interrupted: AtomicBool,
    /// What the network last said, empty while it works.
    last_error: Mutex<String>,
}

impl Contact {
    fn noticed(&self, error: &str) {
        error.clone_into(&mut self.last_error());
    }

    /// Publishing does not work; adds to the reason what the network last said.
    pub(super) fn interrupted(&self, mut reason: String) -> String {
        let error = self.last_error().clone();
        if !error.is_empty() && !reason.contains(&error) {
            reason = format!("{reason} ({error})");
        }
        if !self.interrupted.swap(true, Ordering::Relaxed) {
            warn!(reason, "kafka does not take records; trying again quietly");
        }
        reason
    }

    /// A broker has answered.
    pub(super) fn works(&self) {
        self.last_error().clear();
        if self.interrupted.swap(false, Ordering::Relaxed) {
            info!("kafka takes records again");
        }
    }

    fn last_error(&self) -> MutexGuard<'_, String> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What librdkafka tells a client.
pub(super) struct Watch {
    contact: Arc<Contact>,
    ended: CancellationToken,
}

impl Watch {
    /// For a client that is not a producer.
    pub(super) fn bystander(contact: &Arc<Contact>) -> Self {
        Self {
            contact: Arc::clone(contact),
            ended: CancellationToken::new(),
        }
    }
}

impl ClientContext for Watch {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A line a retry: what matters of it comes as an error below.
        debug!(target: "librdkafka", facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if self.ended.is_cancelled() {
            // The last words of a retired producer.
            return;
        }
        match error {
            KafkaError::Global(Code::Fatal) => {
                debug!(
                    reason,
                    "a kafka producer ended; the next claim gets a new one"
                );
                self.ended.cancel();
            }
            // Says less than the error of the connection that came before it, and
            // comes when brokers close idle connections, too: whether anything is
            // wrong shows in what is published.
            KafkaError::Global(Code::AllBrokersDown) => debug!(reason, "kafka"),
            _ => {
                debug!(reason, "kafka");
                self.contact.noticed(reason);
            }
        }
    }
}
