//! What people and programs see of the ledger: the JSON of the HTTP API and of `aegisctl`.
//!
//! Names and shapes stand in the interface's documentation and stay.

mod dead_letters;
mod merchants;
mod payments;
mod payout_runs;
mod payouts;
mod reconcile;
mod refunds;
mod replays;
mod settlements;
mod trace;

use std::num::ParseIntError;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::{Currency, Ledger, PostedEntry, Receipt, Wallet};
use crate::postgres::ledgers::{Balance, Founded};
use crate::postgres::transactions::StatementLine;

pub use dead_letters::{
    DeadLetterDetailView, DeadLetterGroupView, DeadLetterStatsView, DeadLetterView, LifeView,
};
pub use merchants::{AgreedTermsView, MerchantDetailView, MerchantView};
pub use payments::PaymentView;
pub(crate) use payments::day;
pub use payout_runs::{PayoutRunItemView, PayoutRunView};
pub use payouts::{PayoutAttemptView, PayoutDetailView, PayoutView};
pub use reconcile::{ClearingPartView, ClearingView, DiscrepancyView, ReconciliationView};
pub use refunds::RefundView;
pub use replays::{LeftOutView, ReplayFailureView, ReplayGroupView, ReplayPlanView, ReplayView};
pub use settlements::{
    DuePeriodView, DueReserveView, ReserveView, SettlementFailedView, SettlementLeftView,
    SettlementRunView, SettlementView, SettlementWorkView,
};
pub use trace::{MomentView, ThingView, TraceView};

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A wallet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WalletView {
    /// Never used again.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// One to eight segments joined by colons.
    pub address: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units.
    pub balance: i64,
    /// The part of the balance that holds reserve, minor units.
    pub held: i64,
    /// `balance - held`, minor units.
    pub available: i64,
    /// What `available` may not fall below, minor units; null: unbounded.
    pub min_balance: Option<i64>,
    /// How many entries the wallet has.
    pub version: i64,
    /// `active` or `frozen`.
    pub status: &'static str,
}

impl WalletView {
    /// The view of a wallet of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, wallet: &Wallet) -> Self {
        Self {
            id: wallet.id,
            ledger: ledger.name.to_string(),
            address: wallet.address.to_string(),
            currency: wallet.currency.to_string(),
            balance: wallet.balance,
            held: wallet.held,
            available: wallet.available(),
            min_balance: wallet.min_balance,
            version: wallet.version,
            status: wallet.status.as_str(),
        }
    }
}

/// One entry of a transaction.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// The wallet that moved.
    pub wallet_id: Uuid,
    /// Its address.
    pub address: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Signed minor units: credit positive, debit negative.
    pub amount: i64,
    /// The wallet's balance after the entry, minor units.
    pub balance_after: i64,
    /// The entry's place in the wallet's history, from 1 without gaps.
    pub version: i64,
}

impl From<&PostedEntry> for EntryView {
    fn from(entry: &PostedEntry) -> Self {
        Self {
            wallet_id: entry.wallet_id,
            address: entry.address.to_string(),
            currency: entry.currency.to_string(),
            amount: entry.amount,
            balance_after: entry.balance_after,
            version: entry.version,
        }
    }
}

/// A transaction in the ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TransactionView {
    /// UUIDv7 whose time is `recorded_at`.
    pub transaction_id: Uuid,
    /// `posted` now, or `replayed`: posted before under the same key.
    pub status: &'static str,
    /// The ledger's name.
    pub ledger: String,
    /// `transfer` or `journal`.
    pub kind: &'static str,
    /// The key that it was posted under.
    pub idempotency_key: String,
    /// The caller's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// When it takes effect in the books, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub effective_at: OffsetDateTime,
    /// When it was recorded, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub recorded_at: OffsetDateTime,
    /// The caller's own JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// All its movements, which sum to zero in every currency: debits, then credits, each in
    /// order of wallet.
    pub entries: Vec<EntryView>,
}

impl TransactionView {
    /// The view of a transaction of this ledger, `posted` or `replayed`.
    #[must_use]
    pub fn new(ledger: &Ledger, receipt: &Receipt, status: &'static str) -> Self {
        let mut entries: Vec<EntryView> = receipt.entries.iter().map(EntryView::from).collect();
        // One order, whether the transaction was just posted or read back: a repeat's answer reads
        // like the first.
        entries.sort_unstable_by_key(|entry| (entry.amount > 0, entry.wallet_id));
        Self {
            transaction_id: receipt.transaction_id,
            status,
            ledger: ledger.name.to_string(),
            kind: receipt.kind.as_str(),
            idempotency_key: receipt.idempotency_key.clone(),
            reference: receipt.reference.clone(),
            correlation_id: receipt.correlation_id.clone(),
            effective_at: receipt.effective_at,
            recorded_at: receipt.recorded_at,
            // It was JSON when it was stored.
            metadata: receipt
                .metadata
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok()),
            entries,
        }
    }
}

/// A ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LedgerView {
    /// Unique and permanent.
    pub name: String,
    /// When it was made, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&Founded> for LedgerView {
    fn from(founded: &Founded) -> Self {
        Self {
            name: founded.ledger.name.to_string(),
            created_at: founded.created_at,
        }
    }
}

/// What the wallets of one first segment hold in one currency.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SegmentView {
    /// First segment of the addresses, such as `merchant`.
    pub segment: String,
    /// How many wallets.
    pub wallets: i64,
    /// Sum of their balances, minor units; may be beyond 64 bits.
    pub balance: i128,
    /// Sum of what holds reserve, minor units.
    pub held: i128,
}

/// What the wallets of one currency hold.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CurrencyView {
    /// ISO 4217 code.
    pub currency: String,
    /// How many wallets.
    pub wallets: i64,
    /// Sum of their balances, minor units: zero where every transaction balances.
    pub balance: i128,
    /// Sum of what holds reserve, minor units.
    pub held: i128,
    /// The same per first segment of the addresses.
    pub segments: Vec<SegmentView>,
}

/// All that a ledger holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BalanceSheetView {
    /// The ledger's name.
    pub ledger: String,
    /// Whether every currency sums to zero.
    pub balanced: bool,
    /// In order of currency.
    pub currencies: Vec<CurrencyView>,
}

impl BalanceSheetView {
    /// Adds balances, which stand in order of currency, up to totals.
    ///
    /// # Errors
    /// Where a sum is no number.
    pub fn new(ledger: &Ledger, balances: &[Balance]) -> Result<Self, ParseIntError> {
        let mut currencies: Vec<CurrencyView> = Vec::new();
        for row in balances {
            let segment = SegmentView {
                segment: row.segment.clone(),
                wallets: row.wallets,
                balance: row.balance.parse()?,
                held: row.held.parse()?,
            };
            match currencies.last_mut() {
                Some(last) if last.currency == row.currency => {
                    last.wallets = last.wallets.saturating_add(segment.wallets);
                    last.balance = last.balance.saturating_add(segment.balance);
                    last.held = last.held.saturating_add(segment.held);
                    last.segments.push(segment);
                }
                _ => currencies.push(CurrencyView {
                    currency: row.currency.clone(),
                    wallets: segment.wallets,
                    balance: segment.balance,
                    held: segment.held,
                    segments: vec![segment],
                }),
            }
        }
        Ok(Self {
            ledger: ledger.name.to_string(),
            balanced: currencies.iter().all(|currency| currency.balance == 0),
            currencies,
        })
    }
}

/// A wallet as it was. What was held, and whether it was frozen, is not known of the past.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PastWalletView {
    /// The wallet's id.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// The wallet's address.
    pub address: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The time that was asked for, UTC: all that was recorded before it counts.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The balance then, minor units.
    pub balance: i64,
    /// How many entries the wallet had then.
    pub version: i64,
}

impl PastWalletView {
    /// The view of a wallet of this ledger with its balance and version at a time.
    #[must_use]
    pub fn new(
        ledger: &Ledger,
        wallet: &Wallet,
        at: OffsetDateTime,
        balance: i64,
        version: i64,
    ) -> Self {
        Self {
            id: wallet.id,
            ledger: ledger.name.to_string(),
            address: wallet.address.to_string(),
            currency: wallet.currency.to_string(),
            at: at.to_offset(time::UtcOffset::UTC),
            balance,
            version,
        }
    }
}

/// A line of a wallet's statement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatementLineView {
    /// The entry's place in the wallet's history, from 1 without gaps.
    pub version: i64,
    /// When it was recorded, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub recorded_at: OffsetDateTime,
    /// When it takes effect in the books, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub effective_at: OffsetDateTime,
    /// ISO 4217 code.
    pub currency: &'static str,
    /// Signed minor units: credit positive, debit negative.
    pub amount: i64,
    /// The wallet's balance after the entry, minor units.
    pub balance_after: i64,
    /// The transaction.
    pub transaction_id: Uuid,
    /// `transfer` or `journal`.
    pub kind: String,
    /// The caller's own name for the transaction.
    pub reference: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// SHA-256 over the entry and the hash before it, hexadecimal.
    pub hash: String,
}

impl StatementLineView {
    /// The view of a line of a wallet in this currency.
    #[must_use]
    pub fn new(line: StatementLine, currency: Currency) -> Self {
        Self {
            version: line.version,
            recorded_at: line.recorded_at,
            effective_at: line.effective_at,
            currency: currency.code(),
            amount: line.amount,
            balance_after: line.balance_after,
            transaction_id: line.transaction_id,
            kind: line.kind,
            reference: line.reference,
            correlation_id: line.correlation_id,
            hash: hex(&line.hash),
        }
    }
}
