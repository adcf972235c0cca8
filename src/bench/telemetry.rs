//! What traces cost: daemons that record all, some and none of them, under the same load in turns.
//!
//! They send to a collector in this process, which reads what comes and keeps nothing.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::aegisd::Aegisd;
use super::api::{ApiOptions, Load, Spread, http_load};
use super::scratch::{self, Scratch};
use super::{BenchError, Machine, Measurement, rate};
use crate::postgres::Settings;

/// How much [`telemetry`] does.
#[derive(Clone, Copy, Debug)]
pub struct TelemetryOptions {
    /// How often each side has its turn.
    pub rounds: usize,
    /// How long a turn is.
    pub turn: Duration,
    /// Connections to the daemon whose turn it is.
    pub connections: usize,
    /// Wallets that transfers are spread over.
    pub wallets: usize,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            rounds: 8,
            turn: Duration::from_secs(3),
            connections: 64,
            wallets: 1_000,
        }
    }
}

/// Of how many thousandths of the traces; none where traces are off. And what the ratio has to reach.
const SIDES: [(&str, Option<&str>, Option<f64>); 4] = [
    ("traces off", None, None),
    ("traces on, 1 in 100 recorded", Some("10"), Some(0.95)),
    ("traces on, 1 in 10 recorded", Some("100"), None),
    ("traces on, all recorded", Some("1000"), None),
];

struct Side {
    name: &'static str,
    goal: Option<f64>,
    daemon: Aegisd,
    load: Load,
}

/// Measures posting over HTTP, one transfer a request, with traces against without.
///
/// # Errors
/// Where the scratch database, the daemons or the collector can't be used.
pub async fn telemetry(
    admin: &Settings,
    options: TelemetryOptions,
    stop: &CancellationToken,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<(Machine, Vec<Measurement>), BenchError> {
    scratch::within(admin, &scratch::name(), stop, async |scratch| {
        measure(scratch, options, progress).await
    })
    .await
}

async fn measure(
    scratch: &Scratch,
    options: TelemetryOptions,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<Vec<Measurement>, BenchError> {
    scratch.wallets(options.wallets).await?;
    let collector = Collector::start().await?;
    let mut sides = Vec::new();
    for (name, per_mille, goal) in SIDES {
        let mut variables = Vec::new();
        if let Some(per_mille) = per_mille {
            variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()));
            variables.push(("TELEMETRY_SAMPLE_PER_MILLE", per_mille));
        }
        sides.push(Side {
            name,
            goal,
            daemon: Aegisd::start_with(scratch, &variables).await?,
            load: Load::default(),
        });
    }
    let load = ApiOptions {
        connections: options.connections,
        wallets: options.wallets,
        ..ApiOptions::default()
    };
    // The first round warms all up and is not counted.
    for n in 0..=options.rounds {
        // Whoever goes first meets what the round before left behind: each does in its turn.
        sides.rotate_left(1);
        for side in &mut sides {
            let address = side.daemon.address.as_str();
            let done = http_load(&[address], load, Spread::Uniform, options.turn).await?;
            if n > 0 {
                side.load.add(&done);
            }
        }
    }
    sides.sort_by_key(|side| SIDES.iter().position(|(name, ..)| *name == side.name));
    let measurements = measured(&sides);
    measurements.iter().for_each(progress);
    for side in sides {
        side.daemon.stop().await?;
    }
    Ok(measurements)
}

fn measured(sides: &[Side]) -> Vec<Measurement> {
    let off = sides.first();
    let floor = off.map_or(0.0, |side| rate(side.load.count, side.load.time));
    sides
        .iter()
        .enumerate()
        .map(|(n, side)| {
            let (count, time) = (side.load.count, side.load.time);
            let measurement = Measurement::new(side.name, "transfers/s", count, time)
                .with_latencies(&side.load.latencies);
            match n {
                0 => measurement,
                _ => measurement.against(SIDES[0].0, floor, side.goal),
            }
        })
        .collect()
}

/// Takes spans and forgets them.
struct Collector {
    url: String,
    serving: JoinHandle<()>,
}

impl Collector {
    async fn start() -> Result<Self, BenchError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/v1/traces", post(async |body: Bytes| drop(body)));
        // Ends with the bench; its errors show in the daemons' logs.
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { url, serving })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
