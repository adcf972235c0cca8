//! The Paystack adapter against the simulator, over real HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    unreachable_pub,
    reason = "tests state what must hold"
)]

#[path = "../common/cases.rs"]
mod cases;

mod answers;
mod breaker;
mod faults;
mod local;
mod once;
mod receiver;
mod refusals;
mod routes;
mod scene;
mod secrets;
mod tool;
mod webhooks;
