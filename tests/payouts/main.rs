//! Payouts against the simulator over HTTP, its faults, and real PostgreSQL; by the library, by the
//! API and by the real `aegisctl`.
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
mod model;
mod scene;
#[path = "../support/mod.rs"]
mod shared;
mod tool;

mod asking;
mod cli;
mod daemon;
mod http;
mod kills;
mod property;
mod requesting;
mod resolving;
mod schema;
mod sending;
mod stale;
mod verifying;
mod webhooks;
