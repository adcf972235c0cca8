//! What breaks, breaks for real here: processes are killed, servers crash, connections are cut in
//! the worst moment. Clients go on as good clients do, and in the end all answers were true: what
//! was posted is in the ledger once, what was refused is not, and every event arrived in order.
//! A file a kind of fault; `load` are the clients, `seen` is what they saw, `check` what must hold
//! in the end.
//!
//! Each case has a short form, which `make test` runs, and a long one by `AEGIS_FAULTS=long`, which
//! `make test-faults` runs. `AEGIS_FAULTS_SEED` repeats a run's choices, `AEGIS_FAULTS_ROUNDS` sets
//! how often it is broken.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod check;
mod commit;
mod conflicts;
mod crowd;
mod cut;
mod disk;
mod events;
mod frozen;
mod kafka;
mod kill;
mod load;
mod pair;
mod postgres;
mod redis;
mod same_key;
mod scene;
mod seen;
mod silent;
mod start;
mod steps;
mod stop;

use std::time::{Duration, Instant};

/// The choices of this run; printed, since a failure is repeated by it.
fn seed() -> u64 {
    let seed = number("AEGIS_FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    eprintln!("{test}: AEGIS_FAULTS_SEED={seed}");
    seed
}

/// How often to break it: so many times in the short form, five times as many in the long one.
fn rounds(short: u64) -> u64 {
    number("AEGIS_FAULTS_ROUNDS").unwrap_or(if long() { short * 5 } else { short })
}

/// Short of this a fault is over as soon as it has been felt; in the long form it lasts so long.
fn lasts(since: Instant, in_full: Duration) -> bool {
    long() && since.elapsed() < in_full
}

fn long() -> bool {
    match std::env::var("AEGIS_FAULTS").as_deref() {
        Ok("long") => true,
        Ok("short" | "") | Err(_) => false,
        Ok(other) => panic!("AEGIS_FAULTS is {other:?}, neither short nor long"),
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("the variable is a number"))
}
