//! Settlement: what matured becomes the merchants' to have, once.
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

mod calendar;
mod http;
mod large;
mod money;
mod once;
mod preview;
mod scene;
mod tool;
