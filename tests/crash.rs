//! What breaks, breaks for real here: processes are killed, servers crash, connections are cut in
//! the worst moment. Clients go on as good clients do, and in the end all answers were true: what
//! was posted is in the ledger once, what was refused is not, and every event arrived in order.
//!
//! `AEGIS_TEST_SEED` repeats a run's choices; `AEGIS_TEST_ROUNDS` makes it a long one.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

#[path = "crash/check.rs"]
mod check;
#[path = "crash/commit.rs"]
mod commit;
mod common;
#[path = "crash/kafka.rs"]
mod kafka;
#[path = "crash/kill.rs"]
mod kill;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/pair.rs"]
mod pair;
#[path = "crash/postgres.rs"]
mod postgres;
#[path = "crash/scene.rs"]
mod scene;
#[path = "crash/start.rs"]
mod start;
#[path = "crash/stop.rs"]
mod stop;
mod support;

/// The choices of this run; printed, since a failure is repeated by it.
fn seed() -> u64 {
    let seed = number("AEGIS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    eprintln!("{test}: AEGIS_TEST_SEED={seed}");
    seed
}

/// How often to break it: so many times, unless the run is told otherwise.
fn rounds(usual: u64) -> u64 {
    number("AEGIS_TEST_ROUNDS").unwrap_or(usual)
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("the variable is a number"))
}
