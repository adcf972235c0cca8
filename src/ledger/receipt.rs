//! What came of a command.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Address, Currency, Kind, LedgerName, Rejection};

/// A book: wallets and transactions that balance among themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Leads every key of the ledger's tables.
    pub id: i32,
    /// Its name, unique and permanent.
    pub name: LedgerName,
}

/// One entry of a posted transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedEntry {
    /// The wallet that moved.
    pub wallet_id: Uuid,
    /// Its address.
    pub address: Address,
    /// Its currency.
    pub currency: Currency,
    /// Signed minor units: credit positive, debit negative.
    pub amount: i64,
    /// The wallet's balance after the entry, minor units.
    pub balance_after: i64,
    /// The entry's place in the wallet's history, from 1 without gaps.
    pub version: i64,
}

/// A transaction as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// UUIDv7 whose time is `recorded_at`.
    pub transaction_id: Uuid,
    /// The key that it was posted under.
    pub idempotency_key: String,
    /// Transfer or journal.
    pub kind: Kind,
    /// The caller's own name for it.
    pub reference: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// When it takes effect in the books, UTC.
    pub effective_at: OffsetDateTime,
    /// When it was recorded, UTC, whole milliseconds.
    pub recorded_at: OffsetDateTime,
    /// The caller's own JSON, canonical text.
    pub metadata: Option<String>,
    /// In the order of the legs when just posted, in order of wallet when read back.
    pub entries: Vec<PostedEntry>,
}

/// What came of one command. A rejection is an answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Took effect now.
    Posted(Receipt),
    /// Had taken effect before, under the same key with the same request.
    Replayed(Receipt),
    /// A rule said no; nothing happened, and the key is free.
    Rejected(Rejection),
}
