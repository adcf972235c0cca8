//! The settlement consumer and the DLQ consumer: on real PostgreSQL step by step with the clock as
//! an argument, and as processes on a real Kafka that are killed, doubled and cut off.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod shared;

mod contention;
mod kafka;
mod kills;

mod lanes;
mod letters;
mod local;
mod many;
mod raw;
mod scene;
mod schedule;
mod silence;
mod unreadable;
mod world;
