//! What aegisd tells Prometheus and whoever probes it, and what is read there: the dashboard, the
//! alert rules, `aegisctl status`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod at_the_start;
mod described;
mod exported;
mod probes;
mod scene;
mod shipped;
mod status;
mod verified;
