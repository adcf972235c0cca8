//! Payments: made, opened, told of and asked about, step by step with the clock as an argument, and
//! through the real programs against the simulator over HTTP.
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
#[path = "../support/mod.rs"]
mod support;

mod any_order;
mod asked;
mod cli;
mod created;
mod credited;
mod http;
mod opened;
mod scene;
mod told;
