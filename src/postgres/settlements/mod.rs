//! Settlements, and the reserves that they held back.

mod due;
mod read;
mod reserves;

use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::ledger::{Address, Currency, Wallet};
use crate::merchant::MerchantId;

pub use due::{Due, Part, Waiting, due, parts, sweep, waiting};
pub use read::{Filter, find, list};
pub use reserves::{DueReserve, due_reserves, release, reserve_for_release};

/// What was settled. Amounts are minor units, times UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Its id.
    pub id: Uuid,
    /// Whose money.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// The merchant's day.
    pub period: Date,
    /// When the last of its payments matured.
    pub matured_at: OffsetDateTime,
    /// How many payments.
    pub payments: i64,
    /// What customers paid.
    pub gross: i64,
    /// Of it, the platform's.
    pub fee: i64,
    /// Of it, the merchant's.
    pub net: i64,
    /// What had gone back to customers until then.
    pub refunded: i64,
    /// What left pending; below 0 where more went back than had come.
    pub amount: i64,
    /// Of it, what paid back what the merchant owed; below 0: what it owes from now on.
    pub owed_repaid: i64,
    /// Of it, what is held back.
    pub reserved: i64,
    /// Of it, what is available; below 0: taken from there.
    pub released: i64,
    /// What moved it; `None`: nothing moved.
    pub transaction_id: Option<Uuid>,
    /// When it was settled.
    pub settled_at: OffsetDateTime,
    /// Who had it done.
    pub settled_by: String,
    /// What is held back, by version of the terms.
    pub reserves: Vec<Reserve>,
}

/// What a settlement held back under one version of the terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// The version.
    pub terms_version: i32,
    /// How much.
    pub amount: i64,
    /// When it is to be released.
    pub due_at: OffsetDateTime,
    /// When it was.
    pub released_at: Option<OffsetDateTime>,
    /// Of it, what paid back what the merchant owed.
    pub owed_repaid: i64,
}

/// Writes a settlement with its reserves.
///
/// # Errors
/// Where the database fails: `settlements_period_key` says that the period was settled before.
pub async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    settlement: &Settlement,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO settlements (
             ledger_id, id, merchant, currency, period, matured_at, payments, gross, fee, net,
             refunded, amount, owed_repaid, reserved, released, transaction_id, settled_at,
             settled_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(ledger_id)
    .bind(settlement.id)
    .bind(settlement.merchant.as_str())
    .bind(settlement.currency.code())
    .bind(settlement.period)
    .bind(settlement.matured_at)
    .bind(settlement.payments)
    .bind(settlement.gross)
    .bind(settlement.fee)
    .bind(settlement.net)
    .bind(settlement.refunded)
    .bind(settlement.amount)
    .bind(settlement.owed_repaid)
    .bind(settlement.reserved)
    .bind(settlement.released)
    .bind(settlement.transaction_id)
    .bind(settlement.settled_at)
    .bind(&settlement.settled_by)
    .execute(&mut *conn)
    .await?;
    reserves::insert(conn, ledger_id, settlement).await
}

/// The wallets of these addresses in a currency, locked in the order of their ids, as posting locks
/// them; in the order of the addresses.
///
/// # Errors
/// Where the database fails, or one of them does not exist.
pub async fn lock_wallets(
    conn: &mut PgConnection,
    ledger_id: i32,
    currency: Currency,
    addresses: &[Address],
) -> sqlx::Result<Vec<Wallet>> {
    let rows = sqlx::query(
        "SELECT * FROM wallets WHERE ledger_id = $1 AND currency = $2 AND address = ANY($3)
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(currency.code())
    .bind(names(addresses))
    .fetch_all(conn)
    .await?;
    in_order(&rows, addresses)
}

/// The same as they stand, not locked.
///
/// # Errors
/// Where the database fails, or one of them does not exist.
pub async fn wallets(
    conn: &mut PgConnection,
    ledger_id: i32,
    currency: Currency,
    addresses: &[Address],
) -> sqlx::Result<Vec<Wallet>> {
    let rows = sqlx::query(
        "SELECT * FROM wallets WHERE ledger_id = $1 AND currency = $2 AND address = ANY($3)",
    )
    .bind(ledger_id)
    .bind(currency.code())
    .bind(names(addresses))
    .fetch_all(conn)
    .await?;
    in_order(&rows, addresses)
}

fn names(addresses: &[Address]) -> Vec<&str> {
    addresses.iter().map(Address::as_str).collect()
}

fn in_order(rows: &[PgRow], addresses: &[Address]) -> sqlx::Result<Vec<Wallet>> {
    let wallets = rows.iter().map(super::wallets::from_row);
    let wallets: Vec<Wallet> = wallets.collect::<sqlx::Result<_>>()?;
    let of = |address: &Address| wallets.iter().find(|wallet| wallet.address == *address);
    let found = addresses.iter().map(|address| of(address).cloned());
    found.collect::<Option<_>>().ok_or(sqlx::Error::RowNotFound)
}
