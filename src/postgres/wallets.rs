//! Wallets: making, finding and listing them. Only posting changes their balances.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::unreadable;
use crate::ledger::{Address, Currency, Hash, Wallet, WalletRef, WalletStatus, chain_start};

/// Reads a wallet from a row with all its columns.
pub(super) fn from_row(row: &PgRow) -> sqlx::Result<Wallet> {
    let address: &str = row.try_get("address")?;
    let currency: &str = row.try_get("currency")?;
    let status: &str = row.try_get("status")?;
    let head_hash: &[u8] = row.try_get("head_hash")?;
    Ok(Wallet {
        id: row.try_get("id")?,
        address: address
            .parse()
            .map_err(|_| unreadable("address", address))?,
        currency: currency_of(currency)?,
        balance: row.try_get("balance")?,
        held: row.try_get("held")?,
        version: row.try_get("version")?,
        head_hash: hash_of(head_hash)?,
        min_balance: row.try_get("min_balance")?,
        status: WalletStatus::from_name(status)
            .ok_or_else(|| unreadable("wallet status", status))?,
        updated_at: row.try_get("updated_at")?,
    })
}

pub(super) fn currency_of(code: &str) -> sqlx::Result<Currency> {
    Currency::from_code(code).ok_or_else(|| unreadable("currency", code))
}

pub(super) fn hash_of(bytes: &[u8]) -> sqlx::Result<Hash> {
    bytes
        .try_into()
        .map_err(|_| unreadable("hash of length", &bytes.len().to_string()))
}

/// Makes a wallet, or finds the one of that address and currency: the wallet, and whether it was
/// made now.
///
/// # Errors
/// Where the database fails.
pub async fn create(
    conn: &mut PgConnection,
    ledger_id: i32,
    address: &Address,
    currency: Currency,
    min_balance: Option<i64>,
) -> sqlx::Result<(Wallet, bool)> {
    let id = Uuid::now_v7();
    let start = chain_start(ledger_id, id, currency.code(), address.as_str());
    let made = sqlx::query(
        "INSERT INTO wallets (ledger_id, id, address, currency, min_balance, head_hash)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT wallets_address_currency_key DO NOTHING
         RETURNING *",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(address.as_str())
    .bind(currency.code())
    .bind(min_balance)
    .bind(&start[..])
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(row) = made {
        return Ok((from_row(&row)?, true));
    }
    let existing = find(
        conn,
        ledger_id,
        &WalletRef::Address(address.clone()),
        Some(currency),
    )
    .await?;
    existing
        .into_iter()
        .next()
        .map(|wallet| (wallet, false))
        .ok_or(sqlx::Error::RowNotFound)
}

/// The wallets that a reference and perhaps a currency name, in order of currency: several where
/// an address stands without its currency.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet: &WalletRef,
    currency: Option<Currency>,
) -> sqlx::Result<Vec<Wallet>> {
    let (address, id) = match wallet {
        WalletRef::Address(address) => (Some(address.as_str()), None),
        WalletRef::Id(id) => (None, Some(*id)),
    };
    sqlx::query(
        "SELECT * FROM wallets
         WHERE ledger_id = $1 AND (address = $2 OR id = $3) AND currency = coalesce($4, currency)
         ORDER BY currency",
    )
    .bind(ledger_id)
    .bind(address)
    .bind(id)
    .bind(currency.map(Currency::code))
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// Sets what a wallet's balance may not fall below; `None`: nothing bounds it.
///
/// # Errors
/// Where the database fails; a wallet that is below by now violates `wallets_balance_above_minimum`.
pub async fn set_min_balance(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    min_balance: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE wallets SET min_balance = $3 WHERE ledger_id = $1 AND id = $2")
        .bind(ledger_id)
        .bind(id)
        .bind(min_balance)
        .execute(conn)
        .await?;
    Ok(())
}

/// The wallet of an address and currency, which stays as it is until the transaction ends.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    address: &Address,
    currency: Currency,
) -> sqlx::Result<Option<Wallet>> {
    sqlx::query(
        "SELECT * FROM wallets WHERE ledger_id = $1 AND address = $2 AND currency = $3
         FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(address.as_str())
    .bind(currency.code())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// Which wallets to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Addresses that begin so.
    pub prefix: Option<String>,
    /// Only this currency.
    pub currency: Option<Currency>,
    /// Only those behind this address and currency.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub limit: i64,
}

/// Wallets in order of address and currency.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &Filter,
) -> sqlx::Result<Vec<Wallet>> {
    // One lower and one upper bound, so that the index is read from the first row to the last one
    // wanted. No character of an address stands behind `{`, and every currency behind "".
    let prefix = filter.prefix.clone().unwrap_or_default();
    let end = format!("{prefix}{{");
    let begin = filter.after.clone().max(Some((prefix, String::new())));
    let (begin_address, begin_currency) = begin.unzip();
    sqlx::query(
        "SELECT * FROM wallets
         WHERE ledger_id = $1 AND (address, currency) > ($2, $3) AND address < $4
           AND ($5::text IS NULL OR currency = $5)
         ORDER BY address, currency LIMIT $6",
    )
    .bind(ledger_id)
    .bind(begin_address)
    .bind(begin_currency)
    .bind(end)
    .bind(filter.currency.map(Currency::code))
    .bind(filter.limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}
