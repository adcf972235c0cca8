//! The relay to Kafka against publishing the same records from memory, and against posting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::api::http_uniform;
use super::post::transfers;
use super::scratch::{self, Scratch};
use super::{BenchError, Machine, Measurement, rate};
use crate::bus::{Bus, BusError, KafkaBus, KafkaOptions, Record, TopicSpec};
use crate::engine::Engine;
use crate::outbox::{Relay, RelayOptions, Relayed};
use crate::postgres::{Settings, outbox};
use crate::resilience::backoff::Schedule;

const BATCH: usize = 8_000;
const WALLETS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// Measures the relay over `events` events to these brokers.
///
/// # Errors
/// Where the scratch database or Kafka can't be used.
pub async fn relay(
    admin: &Settings,
    brokers: &str,
    events: usize,
    stop: &CancellationToken,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<(Machine, Vec<Measurement>), BenchError> {
    let kafka = KafkaBus::new(KafkaOptions::new(brokers))?;
    tokio::select! {
        () = stop.cancelled() => return Err(BenchError::Stopped),
        answered = kafka.ping(FIRST_ANSWER) => answered?,
    };
    let name = scratch::name();
    let topic = name.replace('_', ".");
    // From here on it may be there, also where the answer is lost.
    let made = kafka
        .ensure_topics(&[TopicSpec::new(&topic, 6)], PATIENCE)
        .await;
    let measured = match made {
        Err(error) => Err(error.into()),
        Ok(()) => {
            scratch::within(admin, &name, stop, async |scratch| {
                let bus = Arc::new(Bus::Kafka(KafkaBus::new(KafkaOptions::new(brokers))?));
                measure(scratch, &bus, &topic, events, progress).await
            })
            .await
        }
    };
    let deleted = kafka.delete_topics(&[&topic], PATIENCE).await;
    scratch::tidied(measured, &format!("topic {topic}"), deleted)
}

async fn measure(
    scratch: &Scratch,
    bus: &Arc<Bus>,
    topic: &str,
    events: usize,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<Vec<Measurement>, BenchError> {
    scratch.wallets(WALLETS).await?;
    let posting = http_uniform(scratch, Duration::from_secs(6), WALLETS).await?;
    let posting_rate = rate(posting.count, posting.time);
    let engine = Engine::new(&scratch.settings, topic);
    for n in 0..events.div_ceil(BATCH) {
        let request = transfers(&format!("relay-{n}"), BATCH, WALLETS)?;
        engine.post(&scratch.ledger, &[request]).await?;
    }
    let from_memory = publish_from_memory(scratch, bus).await?;
    let options = RelayOptions {
        claim_rows_max: 2_000,
        poll: Duration::from_secs(1),
        schedule: Schedule::STANDARD,
    };
    let pool = scratch.settings.pool();
    let relay = Relay::new(pool.clone(), Arc::clone(bus), options);
    let mut conn = outbox::dedicated(&pool).await?;
    let start = Instant::now();
    let mut relayed = 0;
    loop {
        let step = relay.relay_once(&mut conn, OffsetDateTime::now_utc()).await;
        match step.map_err(|error| BenchError::Unexpected(error.to_string()))? {
            Relayed::Batch(count) => relayed += count,
            Relayed::Idle => break,
            Relayed::Outage { reason, .. } => return Err(BusError::Unreachable(reason).into()),
        }
    }
    let took = start.elapsed();
    let measured = |name: &str| Measurement::new(name, "events/s", relayed, took);
    let measurements = vec![
        measured("relay to Kafka").against(
            "posting over HTTP, one transfer a request",
            posting_rate,
            Some(1.0),
        ),
        measured("relay to Kafka, the outbox's share").against(
            "the same records published from memory",
            from_memory,
            None,
        ),
    ];
    measurements.iter().for_each(&mut *progress);
    Ok(measurements)
}

async fn publish_from_memory(scratch: &Scratch, bus: &Bus) -> Result<f64, BenchError> {
    let pool = scratch.settings.pool();
    let mut conn = pool.acquire().await?;
    let waiting = outbox::list(&mut conn, scratch.ledger.id, 0, 20_000).await?;
    let records: Vec<Record> = waiting
        .iter()
        .map(|event| Record {
            topic: event.topic.clone(),
            key: event.key.clone().into_bytes(),
            headers: Vec::new(),
            payload: event.payload.clone().into_bytes(),
        })
        .collect();
    let start = Instant::now();
    for claim in records.chunks(2_000) {
        for result in bus.publish(claim).await {
            result.map_err(|error| BenchError::Unexpected(error.to_string()))?;
        }
    }
    Ok(rate(records.len(), start.elapsed()))
}
