//! Verification of a ledger: a sound one is clean while posting goes on, and what was changed
//! behind the guards' back is found by the right check at the right row.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

#[path = "verify/book.rs"]
mod book;
#[path = "verify/cli.rs"]
mod cli;
mod common;
#[path = "verify/live.rs"]
mod live;
#[path = "verify/one_wallet.rs"]
mod one_wallet;
#[path = "verify/tampered_entries.rs"]
mod tampered_entries;
#[path = "verify/tampered_others.rs"]
mod tampered_others;
