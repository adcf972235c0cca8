//! `aegisctl` as people and scripts meet it: the real binary on a real database.
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
mod support;

mod bench;
mod configuration;
mod database;
mod help;
mod import;
mod import_broken;
mod import_resumed;
mod ledgers;
mod pipes;
mod proxy;
mod transfers;
mod transfers_lost;
mod wallets;
