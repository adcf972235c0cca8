//! What aegisd tells of its work: traces, against a collector that decodes what it is sent, and logs.
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

mod batches;
mod collector;
mod collector_away;
mod consumed;
mod hung_up;
mod levels;
mod lines;
mod new_relic;
mod one_payment;
mod one_payout;
mod psp_header;
mod sampling;
mod scene;
mod secrets;
