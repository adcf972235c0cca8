//! Refunds and chargebacks against the simulator over HTTP, its faults, and real PostgreSQL; by the
//! library, by the API and by the real `aegisctl`.
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

mod disputes;
mod elsewhere;
mod http;
mod property;
mod requesting;
mod resolving;
mod sending;
mod tool;
mod verifying;
mod working;
