//! Dead letters decided on: replayed to a real Kafka, discarded, watched, stopped, killed; by the
//! library and by the real `aegisctl`.
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
mod shared;
mod support;

mod broken;
mod deciding;
mod finding;
mod messages;
mod runs;
mod stopping;
mod through_aegisd;
