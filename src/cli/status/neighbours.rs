//! What is asked over the network: Redis, the bus, and the aegisd of the configured address.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::check::{Check, Health};
use crate::bus::{Bus, KafkaBus, KafkaOptions};
use crate::cache;
use crate::cli::aegisd;
use crate::cli::context::Context;
use crate::config::BusKind;

/// How long each may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What aegisd says of one of its breakers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Breaker {
    name: String,
    state: String,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    opened_total: u64,
    turned_away_total: u64,
}

/// What aegisd says of its loops.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Loop {
    name: String,
    status: String,
    idle_ms: u64,
}

#[derive(Deserialize)]
struct Part {
    name: String,
    status: String,
    #[serde(default)]
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Ready {
    status: String,
    checks: Vec<Part>,
    breakers: Vec<Breaker>,
}

#[derive(Deserialize)]
struct Live {
    #[serde(default)]
    loops: Vec<Loop>,
}

/// What the aegisd of the configured address says of itself.
#[derive(Debug, Default, Serialize)]
pub(super) struct Daemon {
    pub breakers: Vec<Breaker>,
    pub loops: Vec<Loop>,
}

/// Kept from one look to the next, since connecting anew each time is work for both sides.
pub(super) struct Neighbours<'c> {
    context: &'c Context,
    /// `None`: the bus is local.
    kafka: Option<Result<Bus, String>>,
}

impl<'c> Neighbours<'c> {
    pub(super) fn new(context: &'c Context) -> Self {
        let brokers = &context.config().kafka.brokers;
        let kafka = (context.config().bus == BusKind::Kafka).then(|| {
            let kafka = KafkaBus::new(KafkaOptions::new(brokers));
            kafka.map(Bus::Kafka).map_err(|error| error.to_string())
        });
        Self { context, kafka }
    }

    pub(super) async fn redis(&self) -> Check {
        let Some(address) = &self.context.config().redis.address else {
            let detail = "not configured: working without it";
            return Check::new("redis", Health::Off, detail);
        };
        let began = Instant::now();
        match cache::ping(address, PATIENCE).await {
            Ok(()) => {
                let ms = began.elapsed().as_millis();
                Check::ok("redis", format!("{address}, {ms} ms"))
            }
            Err(error) => Check::new(
                "redis",
                Health::Degraded,
                format!(
                    "{address} can't be reached ({error}): check REDIS_ADDRESS, or start Redis"
                ),
            ),
        }
    }

    pub(super) async fn bus(&self) -> Check {
        let brokers = &self.context.config().kafka.brokers;
        let bus = match &self.kafka {
            None => return Check::ok("bus", "local: events stay within aegisd"),
            Some(Err(reason)) => return Check::new("kafka", Health::Degraded, reason.as_str()),
            Some(Ok(bus)) => bus,
        };
        let began = Instant::now();
        match bus.ping(PATIENCE).await {
            Ok(info) => {
                let ms = began.elapsed().as_millis();
                let (count, topics) = (info.brokers.len(), info.topics.len());
                Check::ok(
                    "kafka",
                    format!("{brokers}: {count} broker(s), {topics} topics, {ms} ms"),
                )
            }
            Err(error) => Check::new(
                "kafka",
                Health::Degraded,
                format!("{brokers}: {error}: check KAFKA_BROKERS, or start Kafka"),
            ),
        }
    }

    /// The daemon, and its breakers, which live there.
    pub(super) async fn daemon(&self) -> (Daemon, [Check; 2]) {
        match self.ask().await {
            Ok((place, ready, live)) => {
                let checks = [standing(&place, &ready, &live), breakers(&ready.breakers)];
                let daemon = Daemon {
                    breakers: ready.breakers,
                    loops: live.loops,
                };
                (daemon, checks)
            }
            Err(error) => {
                let checks = [
                    Check::new("aegisd", Health::Off, error.to_string()),
                    Check::new("breakers", Health::Off, format!("unknown: {error}")),
                ];
                (Daemon::default(), checks)
            }
        }
    }

    async fn ask(&self) -> anyhow::Result<(String, Ready, Live)> {
        let (http, place) = aegisd::neighbour(self.context, PATIENCE)?;
        let probe = |path: &str| http.get(format!("http://{place}/{path}")).send();
        let (ready, live) = tokio::join!(probe("readyz"), probe("livez"));
        let (Ok(ready), Ok(live)) = (ready, live) else {
            anyhow::bail!("no aegisd answers at {place}");
        };
        match (ready.json().await, live.json().await) {
            (Ok(ready), Ok(live)) => Ok((place, ready, live)),
            _ => anyhow::bail!("what answers at {place} is no aegisd of this version"),
        }
    }
}

fn standing(place: &str, ready: &Ready, live: &Live) -> Check {
    if let Some(stuck) = live.loops.iter().find(|one| one.status == "failed") {
        let (name, seconds) = (&stuck.name, stuck.idle_ms / 1_000);
        let detail = format!("{place}: its {name} has not turned for {seconds} s: start it anew");
        return Check::new("aegisd", Health::Failed, detail);
    }
    let amiss: Vec<String> = ready
        .checks
        .iter()
        .filter(|part| part.status != "ok")
        .map(|part| {
            let detail = part.detail.as_deref().unwrap_or("not well");
            format!("{}: {detail}", part.name)
        })
        .collect();
    let amiss = amiss.join("; ");
    match ready.status.as_str() {
        "ok" => Check::ok("aegisd", format!("{place}: serving, its loops turn")),
        "degraded" => Check::new(
            "aegisd",
            Health::Degraded,
            format!("{place}: serving without all it has; {amiss}"),
        ),
        _ => Check::new(
            "aegisd",
            Health::Failed,
            format!("{place}: can't serve; {amiss}"),
        ),
    }
}

fn breakers(breakers: &[Breaker]) -> Check {
    let told: Vec<String> = breakers.iter().map(Breaker::told).collect();
    match breakers.iter().all(|breaker| breaker.state == "closed") {
        true if told.is_empty() => Check::ok("breakers", "aegisd has none to watch"),
        true => Check::ok("breakers", told.join(", ")),
        false => Check::new("breakers", Health::Degraded, told.join(", ")),
    }
}

impl Breaker {
    fn told(&self) -> String {
        let state = self.state.replace('_', "-");
        match (self.retry_after_ms, self.failures) {
            (Some(ms), _) => format!("{} {state} for another {} s", self.name, ms.div_ceil(1_000)),
            (None, 0) => format!("{} {state}", self.name),
            (None, failures) => format!("{} {state} after {failures} failure(s)", self.name),
        }
    }
}
