//! Many payments of random amounts under random terms, through a PSP that fails in every way it can:
//! every cent is accounted for in the end.
//!
//! `AEGIS_MONEY_PAYMENTS=100000` makes so many of them (1,000 unless said), `AEGIS_MONEY_SEED=N`
//! repeats a run's choices; the seed is printed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;

mod clock;
mod every_cent;
mod market;
mod reconciled;
mod terms;
