//! The way of money: what is known of a reference, and what is not shown beside it.
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

mod bounds;
mod flow;
mod outside;
mod scene;
mod statements;
mod way;
