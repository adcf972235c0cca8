//! The rules of double-entry bookkeeping, as pure code: no I/O, no async, no clock.
//!
//! A [`Command`] asks for a balanced set of legs; a [`Book`] of wallets says yes, and then the
//! entries to write, or no, and then a [`Rejection`] with a stable code. Credit is positive and
//! raises a wallet's balance, debit is negative. Money is `i64` minor units with checked
//! arithmetic throughout.

mod address;
mod book;
mod chain;
mod command;
mod currency;
mod instant;
mod metadata;
mod receipt;
mod rejection;
mod transaction;

pub use address::{Address, LedgerName, WalletRef};
pub use book::{Book, Entry, Wallet, WalletStatus};
pub use chain::{ChainLink, Hash, Header, chain_start, microseconds};
pub use command::{Command, Details, IdempotencyKey, InvalidField, Kind, LegDraft};
pub use currency::{AmountError, Currency};
pub use instant::{later, whole_microseconds};
pub use metadata::Metadata;
pub use receipt::{Ledger, Outcome, PostedEntry, Receipt};
pub use rejection::{Rejection, RejectionCode};
pub use transaction::{LEGS_MAX, Leg, Transaction};
