//! Settlement terms: reading and writing them, fees and shares, periods and maturity in real time
//! zones, reserves and payout schedules.
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

mod clocks;
mod fees;
mod maturity;
mod payouts;
mod properties;
mod reading;
mod refused;
mod reversals;
mod support;
