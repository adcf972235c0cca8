//! Reconciliation: statements in every format against real PostgreSQL, by the library, by the API and
//! by the real `aegisctl`.
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
mod scene;

mod bank;
mod batches;
mod camt053;
mod classes;
mod clearing;
mod fees;
mod formats;
mod http;
mod many;
mod overlap;
mod resolving;
mod returned;
mod tool;
