//! Aegis: a settlement engine and double-entry ledger on PostgreSQL.
//!
//! Modules stand in the order in which data flows.

pub mod api;
pub mod bench;
pub mod bus;
pub mod cache;
pub mod cli;
pub mod config;
pub mod consumer;
pub mod daemon;
pub mod discrepancy;
pub mod dlq;
pub mod engine;
pub mod event;
pub mod json;
pub mod ledger;
pub mod merchant;
pub mod onboarding;
pub mod outbox;
pub mod payments;
pub mod payout_runs;
pub mod payouts;
pub mod postgres;
pub mod psp;
pub mod reconcile;
pub mod refunds;
pub mod resilience;
pub mod settlement;
pub mod simulator;
pub mod telemetry;
pub mod terms;
pub mod trace;
pub mod transit;
pub mod verify;
pub mod view;
