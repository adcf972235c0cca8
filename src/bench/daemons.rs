//! What Redis costs and gives: one daemon without and with it, two daemons on one database by row
//! locks alone and with locks in Redis before them.
//!
//! All sides run all the time, and take turns under the same load: what the machine does meanwhile
//! happens to each of them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::aegisd::Aegisd;
use super::api::{ApiOptions, Load, Spread, http_load};
use super::redis_server::RedisServer;
use super::scratch::{self, Scratch};
use super::{BenchError, Machine, Measurement, rate};
use crate::postgres::Settings;

/// How much [`daemons`] does.
#[derive(Clone, Copy, Debug)]
pub struct DaemonsOptions {
    /// How often each side has its turn.
    pub rounds: usize,
    /// How long a turn is.
    pub turn: Duration,
    /// Connections, shared by the daemons of a side.
    pub connections: usize,
    /// Wallets that transfers are spread over.
    pub wallets: usize,
}

impl Default for DaemonsOptions {
    fn default() -> Self {
        Self {
            rounds: 5,
            turn: Duration::from_secs(4),
            connections: 64,
            wallets: 1_000,
        }
    }
}

/// Daemons under load, and the side that they are compared with.
struct Side {
    name: &'static str,
    compared_with: Option<usize>,
    daemons: Vec<Aegisd>,
    load: Load,
}

/// Measures posting over HTTP by all sides, uniform and on one hot wallet.
///
/// # Errors
/// Where the scratch database, the daemons or Redis can't be used.
pub async fn daemons(
    admin: &Settings,
    options: DaemonsOptions,
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
    options: DaemonsOptions,
    progress: &mut (dyn FnMut(&Measurement) + Send),
) -> Result<Vec<Measurement>, BenchError> {
    scratch.wallets(options.wallets).await?;
    let redis = RedisServer::start().await?;
    let mut sides = sides(scratch, &redis.address).await?;
    let mut measurements = Vec::new();
    for (spread, of) in [
        (Spread::Uniform, "uniform"),
        (Spread::Hot, "one hot wallet"),
    ] {
        let load = ApiOptions {
            connections: options.connections,
            wallets: options.wallets,
            ..ApiOptions::default()
        };
        // The first round warms all up and is not counted.
        for n in 0..=options.rounds {
            for side in &mut sides {
                let daemons: Vec<&str> = side.daemons.iter().map(|d| d.address.as_str()).collect();
                let done = http_load(&daemons, load, spread, options.turn).await?;
                if n > 0 {
                    side.load.add(&done);
                }
            }
        }
        for side in &sides {
            let measurement = side.measured(&sides, of);
            progress(&measurement);
            measurements.push(measurement);
        }
        for side in &mut sides {
            side.load = Load::default();
        }
    }
    for side in sides {
        for daemon in side.daemons {
            daemon.stop().await?;
        }
    }
    Ok(measurements)
}

async fn sides(scratch: &Scratch, redis: &str) -> Result<Vec<Side>, BenchError> {
    let with_redis = ("REDIS_ADDRESS", redis);
    let (by_rows, by_redis) = (("LOCKING", "postgres"), ("LOCKING", "redis"));
    let mut sides = Vec::new();
    for (name, compared_with, count, variables) in [
        ("one daemon without Redis", None, 1, vec![]),
        ("one daemon with Redis", Some(0), 1, vec![with_redis]),
        (
            "two daemons, row locks alone",
            Some(1),
            2,
            vec![with_redis, by_rows],
        ),
        (
            "two daemons, locks in Redis",
            Some(2),
            2,
            vec![with_redis, by_redis],
        ),
    ] {
        let mut daemons = Vec::new();
        for _ in 0..count {
            daemons.push(Aegisd::start_with(scratch, &variables).await?);
        }
        sides.push(Side {
            name,
            compared_with,
            daemons,
            load: Load::default(),
        });
    }
    Ok(sides)
}

impl Side {
    fn measured(&self, sides: &[Self], of: &str) -> Measurement {
        let refused = match self.load.refused {
            0 => String::new(),
            refused => format!(", {refused} asked again"),
        };
        let name = format!("{}, {of}{refused}", self.name);
        let measurement = Measurement::new(name, "transfers/s", self.load.count, self.load.time)
            .with_latencies(&self.load.latencies);
        match self.compared_with.and_then(|n| sides.get(n)) {
            Some(other) => {
                let floor = rate(other.load.count, other.load.time);
                measurement.against(other.name, floor, None)
            }
            None => measurement,
        }
    }
}
