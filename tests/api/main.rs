//! The HTTP API: what it takes, what it refuses and with which words, and what it promises when
//! callers repeat, race, stall or disappear.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    unreachable_pub,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
mod support;

mod bad_fields;
mod bad_heads;
mod bad_queries;
mod dead_letters;
mod description;
mod faults;
mod ids;
mod log;
mod posting;
mod reading;
mod replays;
mod wire;
