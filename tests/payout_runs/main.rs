//! Payout runs by the real `aegisctl` and `aegisd`, against the simulator over HTTP and real
//! PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
mod scene;
#[path = "../support/mod.rs"]
mod shared;

mod approving;
mod cron;
mod due;
mod http;
mod keys;
mod kills;
mod lists;
mod panics;
mod paying;
mod schema;
