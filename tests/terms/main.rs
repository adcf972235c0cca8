//! Settlement terms: reading and writing them, fees and shares, periods and maturity in real time
//! zones, reserves and payout schedules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

mod clocks;
mod fees;
mod maturity;
mod payouts;
mod properties;
mod reading;
mod refused;
mod reversals;
mod support;
