//! The documentation is held to the programs: its commands are run, or at least read as the programs
//! read them; its links lead somewhere; its references are what the code generates.
//!
//! Every `sh` block of README.md, docs/tutorial.md and docs/runbook.md is run, one page in one shell,
//! but for those behind `<!-- not run: REASON -->`. Of these, as of all other pages, each `aegisctl` is
//! parsed, and each `make` and `dev/stack` is looked up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
mod pages;
mod session;
#[path = "../support/mod.rs"]
mod support;

mod commands;
mod decisions;
mod links;
mod manifests;
mod readme;
mod reference;
mod runbook;
mod tutorial;
