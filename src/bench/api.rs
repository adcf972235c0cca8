//! HTTP, one transfer a request, against a lean SQL function, one transfer a call.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::aegisd::Aegisd;
use super::http::Client;
use super::scratch::{self, Scratch, address};
use super::{BenchError, Latencies, Machine, Measurement, rate};
use crate::postgres::{Settings, bench};

/// How much [`api`] does.
#[derive(Clone, Copy, Debug)]
pub struct ApiOptions {
    /// Connections to the API.
    pub connections: usize,
    /// Connections to PostgreSQL for the lean function.
    pub lean_connections: usize,
    /// How long each side is measured, in turns of a quarter.
    pub time: Duration,
    /// Wallets that transfers are spread over.
    pub wallets: usize,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            connections: 64,
            lean_connections: 32,
            time: Duration::from_secs(8),
            wallets: 1_000,
        }
    }
}

/// How transfers are spread over wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    Uniform,
    /// Every transfer leaves the same wallet.
    Hot,
}

/// Measures posting over HTTP, uniform and on one hot wallet.
///
/// # Errors
/// Where the scratch database or the daemon can't be used.
pub async fn api(
    admin: &Settings,
    options: ApiOptions,
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
    options: ApiOptions,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<Vec<Measurement>, BenchError> {
    scratch.wallets(options.wallets).await?;
    let daemon = Aegisd::start(scratch).await?;
    let lean = Lean::prepare(scratch, options).await?;
    let mut measurements = Vec::new();
    for (name, spread, goal) in [
        (
            "HTTP, one transfer a request, uniform",
            Spread::Uniform,
            2.0,
        ),
        (
            "HTTP, one transfer a request, one hot wallet",
            Spread::Hot,
            6.0,
        ),
    ] {
        let (mut over_http, mut by_function) = (Load::default(), Load::default());
        let turn = options.time / 4;
        // The first turn warms both up and is not counted.
        for n in 0..5 {
            let http = http_load(&[&daemon.address], options, spread, turn).await?;
            let function = lean.load(spread, turn).await?;
            if n > 0 {
                over_http.add(&http);
                by_function.add(&function);
            }
        }
        let floor = rate(by_function.count, by_function.time);
        let floor_name = format!(
            "a lean SQL function, {} connections",
            options.lean_connections
        );
        let measurement = Measurement::new(name, "transfers/s", over_http.count, over_http.time)
            .against(&floor_name, floor, Some(goal))
            .with_latencies(&over_http.latencies);
        progress(&measurement);
        measurements.push(measurement);
    }
    daemon.stop().await?;
    Ok(measurements)
}

/// What some connections got done.
#[derive(Default)]
pub(super) struct Load {
    pub count: usize,
    pub time: Duration,
    pub latencies: Latencies,
    /// Answers of 503 where others were in the way; asked again, they are counted as late.
    pub refused: usize,
}

impl Load {
    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.refused += other.refused;
        self.time += other.time;
        self.latencies.merge(&other.latencies);
    }
}

/// The connections take turns with the daemons.
pub(super) async fn http_load(
    daemons: &[&str],
    options: ApiOptions,
    spread: Spread,
    time: Duration,
) -> Result<Load, BenchError> {
    let mut clients = Vec::new();
    for daemon in daemons.iter().cycle().take(options.connections) {
        clients.push(Client::connect(daemon).await?);
    }
    let start = Instant::now();
    let workers: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(http_worker(client, options.wallets, spread, start + time)))
        .collect();
    gather(workers, start).await
}

/// Posts over HTTP for a while: what got done.
pub(super) async fn http_uniform(
    scratch: &Scratch,
    time: Duration,
    wallets: usize,
) -> Result<Load, BenchError> {
    let daemon = Aegisd::start(scratch).await?;
    let options = ApiOptions {
        wallets,
        ..ApiOptions::default()
    };
    let load = http_load(&[&daemon.address], options, Spread::Uniform, time).await?;
    daemon.stop().await?;
    Ok(load)
}

type Counted = Result<Load, BenchError>;

async fn gather(
    workers: Vec<tokio::task::JoinHandle<Counted>>,
    start: Instant,
) -> Result<Load, BenchError> {
    let mut load = Load::default();
    for worker in workers {
        let done = worker
            .await
            .map_err(|error| BenchError::Unexpected(error.to_string()))??;
        load.add(&done);
    }
    load.time = start.elapsed();
    Ok(load)
}

async fn http_worker(
    mut client: Client,
    wallets: usize,
    spread: Spread,
    until: Instant,
) -> Counted {
    let mut load = Load::default();
    let mut pairs = Pairs::new(wallets, spread);
    while Instant::now() < until {
        let (from, to) = pairs.next();
        let body = format!(
            r#"{{"source":"{}","destination":"{}","currency":"NGN","amount":1}}"#,
            address(from),
            address(to)
        );
        let key = Uuid::now_v7().to_string();
        let start = Instant::now();
        loop {
            let path = "/v1/ledgers/main/transfers";
            let (status, answer) = client.post(path, &key, body.clone()).await?;
            match status.as_u16() {
                201 => break,
                503 => load.refused += 1,
                _ => {
                    let answer = String::from_utf8_lossy(&answer);
                    return Err(BenchError::Unexpected(format!("{status}: {answer}")));
                }
            }
        }
        load.latencies.record(start.elapsed());
        load.count += 1;
    }
    Ok(load)
}

/// Pairs of wallets, another series for each worker.
struct Pairs {
    wallets: usize,
    spread: Spread,
    state: u128,
}

impl Pairs {
    fn new(wallets: usize, spread: Spread) -> Self {
        Self {
            wallets,
            spread,
            state: Uuid::new_v4().as_u128() | 1,
        }
    }

    fn next(&mut self) -> (usize, usize) {
        let mut draw = |below: usize| {
            // A multiplicative generator: good enough to spread load.
            self.state = self
                .state
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
            usize::try_from(self.state >> 72).unwrap_or(0) % below
        };
        let from = if self.spread == Spread::Hot {
            0
        } else {
            draw(self.wallets)
        };
        (from, (from + 1 + draw(self.wallets - 1)) % self.wallets)
    }
}

/// The lean function's side.
struct Lean {
    settings: Settings,
    wallets: Vec<Uuid>,
    connections: usize,
}

impl Lean {
    async fn prepare(scratch: &Scratch, options: ApiOptions) -> Result<Self, BenchError> {
        let pool = scratch.settings.pool();
        let mut conn = pool.acquire().await?;
        let wallets = bench::fill_floor_wallets(&mut conn).await?;
        let settings = scratch.settings.clone();
        Ok(Self {
            settings,
            wallets,
            connections: options.lean_connections,
        })
    }

    async fn load(&self, spread: Spread, time: Duration) -> Result<Load, BenchError> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(bench::connect(&self.settings).await?);
        }
        let start = Instant::now();
        let workers = connections
            .into_iter()
            .map(|mut conn| {
                let (wallets, until) = (self.wallets.clone(), start + time);
                tokio::spawn(async move {
                    let mut pairs = Pairs::new(wallets.len(), spread);
                    let mut load = Load::default();
                    while Instant::now() < until {
                        let (from, to) = pairs.next();
                        let (Some(from), Some(to)) = (wallets.get(from), wallets.get(to)) else {
                            continue;
                        };
                        let key = Uuid::now_v7().to_string();
                        let start = Instant::now();
                        bench::lean_transfer(&mut conn, &key, *from, *to).await?;
                        load.latencies.record(start.elapsed());
                        load.count += 1;
                    }
                    Ok(load)
                })
            })
            .collect();
        gather(workers, start).await
    }
}
