//! What traces cost: daemons that record all, a hundred a second and none, under the same load in turns.
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
    /// Connections to the daemon.
    pub connections: usize,
    /// Wallets that transfers are spread over.
    pub wallets: usize,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            rounds: 12,
            turn: Duration::from_secs(2),
            connections: 64,
            wallets: 1_000,
        }
    }
}

/// Traces a second, where they are on; and what the ratio has to reach.
const SIDES: [(&str, Option<u32>, Option<f64>); 3] = [
    ("traces off", None, None),
    ("traces on, 100 a second", Some(100), Some(0.95)),
    ("traces on, all", Some(1_000_000), None),
];

/// How long a daemon is under load before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);

struct Side {
    variables: Vec<(&'static str, String)>,
    load: Load,
}

impl Side {
    fn new(traces: Option<u32>, collector: &Collector) -> Self {
        let variables = traces.map(|traces| {
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
                ("TELEMETRY_TRACES_PER_SECOND_MAX", traces.to_string()),
            ]
        });
        Self {
            variables: variables.unwrap_or_default(),
            load: Load::default(),
        }
    }

    /// A daemon for this turn alone, so that it relays its own events and no other side's.
    async fn turn(
        &mut self,
        scratch: &Scratch,
        load: ApiOptions,
        time: Duration,
    ) -> Result<(), BenchError> {
        let variables = self.variables.iter();
        let variables: Vec<_> = variables.map(|(n, v)| (*n, v.as_str())).collect();
        let daemon = Aegisd::start_with(scratch, &variables).await?;
        let address = [daemon.address.as_str()];
        http_load(&address, load, Spread::Uniform, WARM_UP).await?;
        let done = http_load(&address, load, Spread::Uniform, time).await?;
        self.load.add(&done);
        daemon.stop().await
    }
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
    let mut sides: Vec<Side> = SIDES
        .iter()
        .map(|(_, traces, _)| Side::new(*traces, &collector))
        .collect();
    let load = ApiOptions {
        connections: options.connections,
        wallets: options.wallets,
        ..ApiOptions::default()
    };
    for round in 0..options.rounds {
        // What one side leaves behind meets the next one: each is next in its turn.
        for turn in 0..sides.len() {
            let next = (round + turn) % sides.len();
            if let Some(side) = sides.get_mut(next) {
                side.turn(scratch, load, options.turn).await?;
            }
        }
    }
    let measurements = measured(&sides);
    measurements.iter().for_each(progress);
    Ok(measurements)
}

fn measured(sides: &[Side]) -> Vec<Measurement> {
    let off = sides.first();
    let floor = off.map_or(0.0, |side| rate(side.load.count, side.load.time));
    SIDES
        .iter()
        .zip(sides)
        .map(|((name, traces, goal), side)| {
            let (count, time) = (side.load.count, side.load.time);
            let measurement = Measurement::new(*name, "transfers/s", count, time)
                .with_latencies(&side.load.latencies);
            match traces {
                None => measurement,
                Some(_) => measurement.against("traces off", floor, *goal),
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
