//! What the tests share: a database of their own, wallets in it, commands, what a run said, and the
//! log.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "tests state what must hold"
)]

pub mod cases;
pub mod database;
pub mod ledger;
pub mod log;
pub mod merchant;
pub mod payment;
pub mod paystack;
pub mod ran;

pub use database::TestDatabase;
