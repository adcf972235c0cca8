//! The engine against bare COPY of the same bytes, and against a bare INSERT.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::scratch::{self, Scratch, address};
use super::{BenchError, Latencies, Machine, Measurement, rate};
use crate::engine::{Engine, Request};
use crate::ledger::{Command, Details, Outcome};
use crate::postgres::{Settings, bench};

/// How much [`post`] does.
#[derive(Clone, Copy, Debug)]
pub struct PostOptions {
    /// Batches a size.
    pub batches: usize,
    /// Single transfers.
    pub singles: usize,
    /// Wallets that transfers are spread over.
    pub wallets: usize,
}

impl Default for PostOptions {
    fn default() -> Self {
        Self {
            batches: 40,
            singles: 1_500,
            wallets: 1_000,
        }
    }
}

/// Measures posting: batches of several sizes, one hot wallet, one transfer a call.
///
/// # Errors
/// Where the scratch database can't be made or used.
pub async fn post(
    admin: &Settings,
    options: PostOptions,
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
    options: PostOptions,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<Vec<Measurement>, BenchError> {
    scratch.wallets(options.wallets).await?;
    let mut measurements = Vec::new();
    let mut done = |measurement: Measurement| {
        progress(&measurement);
        measurements.push(measurement);
    };
    let mut load = Load {
        run: 0,
        next: 0,
        wallets: options.wallets,
        hot: false,
    };
    done(singles(scratch, &mut load, options.singles).await?);
    for (size, goal) in [(64, None), (512, None), (2_000, Some(0.45)), (8_000, None)] {
        let batches = (options.batches * 2_000)
            .div_ceil(size)
            .min(options.batches * 4);
        let name = format!("batches of {size}");
        done(batched(scratch, &mut load, &name, size, batches, goal).await?);
    }
    load.hot = true;
    let name = "batches of 2000, one hot wallet";
    done(batched(scratch, &mut load, name, 2_000, options.batches, None).await?);
    Ok(measurements)
}

/// Makes transfers with keys of their own.
struct Load {
    run: usize,
    next: usize,
    wallets: usize,
    hot: bool,
}

/// Transfers between wallets, with keys that begin with `name`.
pub(super) fn transfers(name: &str, size: usize, wallets: usize) -> Result<Request, BenchError> {
    let commands = (0..size)
        .map(|n| transfer(name, n, wallets, false))
        .collect::<Result<_, _>>();
    commands
        .map(Request::independent)
        .map_err(BenchError::Unexpected)
}

fn transfer(name: &str, n: usize, wallets: usize, hot: bool) -> Result<Command, String> {
    // Two strides that share no factor with most counts: pairs of wallets without a pattern.
    let from = (n * 7_919) % wallets;
    let to = (from + 1 + (n * 104_729) % (wallets - 1)) % wallets;
    let source = if hot {
        "world".to_owned()
    } else {
        address(from)
    };
    Ok(Command::transfer(
        format!("{name}-{n}").parse()?,
        source.parse()?,
        address(to).parse()?,
        "NGN",
        100,
        Details::default(),
    ))
}

impl Load {
    fn batch(&mut self, size: usize) -> Result<Request, BenchError> {
        self.run += 1;
        let commands = (0..size).map(|_| self.command()).collect::<Result<_, _>>();
        commands
            .map(Request::independent)
            .map_err(BenchError::Unexpected)
    }

    fn command(&mut self) -> Result<Command, String> {
        self.next += 1;
        transfer(
            &format!("bench-{}", self.run),
            self.next,
            self.wallets,
            self.hot,
        )
    }
}

async fn batched(
    scratch: &Scratch,
    load: &mut Load,
    name: &str,
    size: usize,
    batches: usize,
    goal: Option<f64>,
) -> Result<Measurement, BenchError> {
    let engine = Engine::new(&scratch.settings, crate::bus::topics::TRANSACTIONS);
    let pool = scratch.settings.pool();
    let mut floor_connection = pool.acquire().await?;
    let mut latencies = Latencies::default();
    let (mut engine_time, mut floor_time) = (Duration::ZERO, Duration::ZERO);
    let warm_up = batches / 10 + 1;
    // In turns, so that the machine's noise meets both alike.
    for n in 0..batches + warm_up {
        let request = load.batch(size)?;
        let start = Instant::now();
        let outcomes = engine.post(&scratch.ledger, &[request]).await?;
        let took = start.elapsed();
        let last = outcomes
            .iter()
            .flatten()
            .map(posted_id)
            .collect::<Option<Vec<_>>>();
        let ids = last.ok_or_else(|| BenchError::Unexpected("a transfer was rejected".into()))?;
        let bytes = bench::export(&mut floor_connection, scratch.ledger.id, &ids).await?;
        let start = Instant::now();
        bench::copy_floor(&mut floor_connection, bytes).await?;
        let floor_took = start.elapsed();
        if n >= warm_up {
            engine_time += took;
            floor_time += floor_took;
            latencies.record(took);
        }
    }
    let floor = rate(size * batches, floor_time);
    Ok(
        Measurement::new(name, "transfers/s", size * batches, engine_time)
            .against("the same rows by bare COPY", floor, goal)
            .with_latencies(&latencies),
    )
}

fn posted_id(outcome: &Outcome) -> Option<uuid::Uuid> {
    match outcome {
        Outcome::Posted(receipt) => Some(receipt.transaction_id),
        _ => None,
    }
}

async fn singles(
    scratch: &Scratch,
    load: &mut Load,
    count: usize,
) -> Result<Measurement, BenchError> {
    let engine = Engine::new(&scratch.settings, crate::bus::topics::TRANSACTIONS);
    let pool = scratch.settings.pool();
    let mut connection = pool.acquire().await?;
    let mut latencies = Latencies::default();
    let (mut engine_time, mut floor_time) = (Duration::ZERO, Duration::ZERO);
    let warm_up = count / 10 + 1;
    for n in 0..count + warm_up {
        let request = load.batch(1)?;
        let start = Instant::now();
        engine.post(&scratch.ledger, &[request]).await?;
        let took = start.elapsed();
        let start = Instant::now();
        bench::insert_one(&mut connection).await?;
        let floor_took = start.elapsed();
        if n >= warm_up {
            engine_time += took;
            floor_time += floor_took;
            latencies.record(took);
        }
    }
    // At most 3 times as long is at least a third of the rate.
    Ok(Measurement::new(
        "one transfer a call, one client",
        "transfers/s",
        count,
        engine_time,
    )
    .against(
        "one bare INSERT with its COMMIT",
        rate(count, floor_time),
        Some(1.0 / 3.0),
    )
    .with_latencies(&latencies))
}
