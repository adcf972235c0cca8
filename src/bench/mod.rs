//! Figures of this machine, each beside what it is compared with, measured in the same run.
//!
//! Every bench works in a database of its own on the configured server, made at the start and
//! dropped at the end, however that comes about. Absolute rates change with the machine and its noise; the ratios are what
//! is held.

mod aegisd;
mod api;
mod daemons;
mod http;
mod machine;
mod post;
mod redis_server;
mod relay;
mod scratch;
mod telemetry;
mod verify;

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

pub use api::{ApiOptions, api};
pub use daemons::{DaemonsOptions, daemons};
pub use machine::Machine;
pub use post::{PostOptions, post};
pub use relay::relay;
pub use telemetry::{TelemetryOptions, telemetry};
pub use verify::verify;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub name: String,
    /// How many units a second.
    pub rate: f64,
    /// What is counted.
    pub unit: &'static str,
    /// The rate that it is compared with, from the same run.
    pub floor: Option<f64>,
    /// What the floor is.
    pub floor_name: Option<String>,
    /// `rate / floor`.
    pub ratio: Option<f64>,
    /// What the ratio has to reach.
    pub goal: Option<f64>,
    /// Half of the calls took at most so long, milliseconds.
    pub p50_ms: Option<f64>,
    /// All but one in a hundred took at most so long, milliseconds.
    pub p99_ms: Option<f64>,
}

impl Measurement {
    /// A figure by itself.
    #[must_use]
    pub fn new(name: impl Into<String>, unit: &'static str, count: usize, time: Duration) -> Self {
        Self {
            name: name.into(),
            rate: rate(count, time),
            unit,
            floor: None,
            floor_name: None,
            ratio: None,
            goal: None,
            p50_ms: None,
            p99_ms: None,
        }
    }

    /// Sets what it is compared with, and what the ratio has to reach, if anything.
    #[must_use]
    pub fn against(mut self, name: &str, floor: f64, goal: Option<f64>) -> Self {
        self.floor = Some(floor);
        self.floor_name = Some(name.to_owned());
        self.ratio = Some(self.rate / floor);
        self.goal = goal;
        self
    }

    /// Sets the latencies.
    #[must_use]
    pub fn with_latencies(mut self, latencies: &Latencies) -> Self {
        self.p50_ms = latencies.quantile_ms(0.5);
        self.p99_ms = latencies.quantile_ms(0.99);
        self
    }

    /// Whether the ratio falls short of its goal.
    #[must_use]
    pub fn misses_its_goal(&self) -> bool {
        matches!((self.ratio, self.goal), (Some(ratio), Some(goal)) if ratio < goal)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people, not money")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// How long calls took.
#[derive(Debug)]
pub struct Latencies(Option<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        // Three digits over any range: the library refuses only other arguments.
        Self(Histogram::new(3).ok())
    }
}

impl Latencies {
    /// Counts a call.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = &mut self.0 {
            // It grows as it needs.
            let _ = histogram.record(micros);
        }
    }

    /// Takes over what another one counted.
    pub fn merge(&mut self, other: &Self) {
        if let (Some(own), Some(other)) = (&mut self.0, &other.0) {
            // Both grow as they need.
            let _ = own.add(other);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
    fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_quantile(quantile) as f64 / 1_000.0)
    }
}

/// Why a bench could not run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The database failed. The role needs the right to make databases.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The scratch database could not be migrated.
    #[error("the scratch database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The engine failed.
    #[error("posting failed: {0}")]
    Post(#[from] crate::engine::PostError),
    /// The bus failed.
    #[error("the bus failed: {0}")]
    Bus(#[from] crate::bus::BusError),
    /// Something was answered that the bench doesn't expect.
    #[error("{0}")]
    Unexpected(String),
    /// A process or a connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Told to stop; what it had made is removed.
    #[error("the bench was stopped")]
    Stopped,
    /// What it had made could not be removed.
    #[error("the {made} is left behind ({reason}): remove it by hand")]
    LeftBehind {
        /// What it is, and its name.
        made: String,
        /// Why it is there.
        reason: String,
        /// What went wrong first.
        #[source]
        first: Box<BenchError>,
    },
}

impl BenchError {
    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::LeftBehind { first, .. } => first.is_stopped(),
            _ => false,
        }
    }
}
