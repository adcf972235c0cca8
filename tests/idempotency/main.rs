//! The same request under the same key takes effect once and is answered the same, whatever Redis
//! and PostgreSQL do meanwhile.
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

mod at_once;
mod free_keys;
mod in_flight;
mod lost;
mod outage;
mod repeats;
mod scene;
