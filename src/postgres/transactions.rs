//! Transactions and entries, read back.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{unreadable, wallets};
use crate::ledger::{Kind, PostedEntry, Receipt};

/// The transactions of these ids, each with its entries in order of wallet. An id may stand there twice.
///
/// # Errors
/// Where the database fails.
pub async fn receipts(
    conn: &mut PgConnection,
    ledger_id: i32,
    ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Receipt>> {
    // Rows come once for each time that their id is named.
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let headers = sqlx::query(
        // The comparison of rows leaves the planner one index to go by.
        "SELECT t.* FROM unnest($2::uuid[]) AS named (id) CROSS JOIN LATERAL (
             SELECT t.ledger_id, t.id, t.idempotency_key, t.kind, t.reference, t.correlation_id,
                    t.effective_at, t.recorded_at, t.metadata::text AS metadata
             FROM transactions t WHERE (t.ledger_id, t.id) >= ($1, named.id)
             ORDER BY t.ledger_id, t.id LIMIT 1
         ) t WHERE t.ledger_id = $1 AND t.id = named.id",
    )
    .bind(ledger_id)
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut receipts = headers
        .iter()
        .map(|row| receipt_from_row(row).map(|receipt| (receipt.transaction_id, receipt)))
        .collect::<sqlx::Result<HashMap<_, _>>>()?;
    let entries = sqlx::query(
        "SELECT e.*, w.address
         FROM unnest($2::uuid[]) AS named (id) CROSS JOIN LATERAL (
             SELECT e.transaction_id, e.wallet_id, e.currency, e.amount, e.balance_after, e.version
             FROM ledger_entries e
             WHERE e.ledger_id = $1 AND e.transaction_id = named.id OFFSET 0
         ) e CROSS JOIN LATERAL (
             SELECT w.address::text AS address FROM wallets w
             WHERE w.ledger_id = $1 AND w.id = e.wallet_id OFFSET 0
         ) w
         ORDER BY e.transaction_id, e.wallet_id",
    )
    .bind(ledger_id)
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    for row in &entries {
        let transaction_id: Uuid = row.try_get("transaction_id")?;
        if let Some(receipt) = receipts.get_mut(&transaction_id) {
            receipt.entries.push(entry_from_row(row)?);
        }
    }
    Ok(receipts)
}

fn receipt_from_row(row: &PgRow) -> sqlx::Result<Receipt> {
    let kind: &str = row.try_get("kind")?;
    Ok(Receipt {
        transaction_id: row.try_get("id")?,
        idempotency_key: row.try_get("idempotency_key")?,
        kind: Kind::from_name(kind).ok_or_else(|| unreadable("kind", kind))?,
        reference: row.try_get("reference")?,
        correlation_id: row.try_get("correlation_id")?,
        effective_at: row.try_get("effective_at")?,
        recorded_at: row.try_get("recorded_at")?,
        metadata: row.try_get("metadata")?,
        entries: Vec::new(),
    })
}

fn entry_from_row(row: &PgRow) -> sqlx::Result<PostedEntry> {
    let address: &str = row.try_get("address")?;
    Ok(PostedEntry {
        wallet_id: row.try_get("wallet_id")?,
        address: address
            .parse()
            .map_err(|_| unreadable("address", address))?,
        currency: wallets::currency_of(row.try_get("currency")?)?,
        amount: row.try_get("amount")?,
        balance_after: row.try_get("balance_after")?,
        version: row.try_get("version")?,
    })
}

/// What to look transactions up by.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The caller's own name for it.
    Reference(String),
    /// What it belongs to.
    CorrelationId(String),
}

/// Ids of transactions in order of recording, those behind `after` only.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    lookup: &Lookup,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    let (query, value) = match lookup {
        Lookup::Reference(value) => (
            "SELECT id FROM transactions
             WHERE ledger_id = $1 AND reference = $2 AND ($3::uuid IS NULL OR id > $3)
             ORDER BY id LIMIT $4",
            value,
        ),
        Lookup::CorrelationId(value) => (
            "SELECT id FROM transactions
             WHERE ledger_id = $1 AND correlation_id = $2 AND ($3::uuid IS NULL OR id > $3)
             ORDER BY id LIMIT $4",
            value,
        ),
    };
    sqlx::query_scalar(query)
        .bind(ledger_id)
        .bind(value)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// A line of a wallet's statement.
#[derive(Clone, Debug)]
pub struct StatementLine {
    /// The wallet's version after the entry.
    pub version: i64,
    /// The transaction.
    pub transaction_id: Uuid,
    /// Transfer or journal.
    pub kind: String,
    /// The caller's own name for it.
    pub reference: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// Signed minor units.
    pub amount: i64,
    /// Minor units.
    pub balance_after: i64,
    /// UTC.
    pub effective_at: OffsetDateTime,
    /// UTC.
    pub recorded_at: OffsetDateTime,
    /// SHA-256 over the entry and the one before it.
    pub hash: Vec<u8>,
}

/// Which entries of a wallet to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Only entries behind this version.
    pub after_version: i64,
    /// Recorded at this time or later, UTC.
    pub from: Option<OffsetDateTime>,
    /// Recorded before this time, UTC.
    pub to: Option<OffsetDateTime>,
    /// At most so many.
    pub limit: i64,
}

/// A wallet's entries in order of version.
///
/// # Errors
/// Where the database fails.
pub async fn statement(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_id: Uuid,
    span: Span,
) -> sqlx::Result<Vec<StatementLine>> {
    // Time never runs backwards along a wallet's entries, so a span of time is one of versions.
    let after_version = match span.from {
        Some(from) => span
            .after_version
            .max(version_before(conn, ledger_id, wallet_id, from).await?),
        None => span.after_version,
    };
    let last_version = match span.to {
        Some(to) => version_before(conn, ledger_id, wallet_id, to).await?,
        None => i64::MAX,
    };
    let rows = sqlx::query(
        "SELECT e.version, e.transaction_id, t.kind, t.reference, t.correlation_id, e.amount,
                e.balance_after, t.effective_at, t.recorded_at, e.hash
         FROM ledger_entries e
         JOIN transactions t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id
         WHERE e.ledger_id = $1 AND e.wallet_id = $2 AND e.version > $3 AND e.version <= $4
         ORDER BY e.version LIMIT $5",
    )
    .bind(ledger_id)
    .bind(wallet_id)
    .bind(after_version)
    .bind(last_version)
    .bind(span.limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(StatementLine {
                version: row.try_get("version")?,
                transaction_id: row.try_get("transaction_id")?,
                kind: row.try_get("kind")?,
                reference: row.try_get("reference")?,
                correlation_id: row.try_get("correlation_id")?,
                amount: row.try_get("amount")?,
                balance_after: row.try_get("balance_after")?,
                effective_at: row.try_get("effective_at")?,
                recorded_at: row.try_get("recorded_at")?,
                hash: row.try_get("hash")?,
            })
        })
        .collect()
}

/// A wallet's balance and version as they stood just before a time, by halving: a probe of the
/// primary key each step. Zero and zero before its first entry.
///
/// # Errors
/// Where the database fails.
pub async fn balance_before(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_id: Uuid,
    time: OffsetDateTime,
) -> sqlx::Result<(i64, i64)> {
    let version = version_before(conn, ledger_id, wallet_id, time).await?;
    let balance: Option<i64> = sqlx::query_scalar(
        "SELECT balance_after FROM ledger_entries
         WHERE ledger_id = $1 AND wallet_id = $2 AND version = $3",
    )
    .bind(ledger_id)
    .bind(wallet_id)
    .bind(version)
    .fetch_optional(conn)
    .await?;
    Ok((balance.unwrap_or(0), version))
}

async fn version_before(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_id: Uuid,
    time: OffsetDateTime,
) -> sqlx::Result<i64> {
    let newest: Option<i64> = sqlx::query_scalar(
        "SELECT max(version) FROM ledger_entries WHERE ledger_id = $1 AND wallet_id = $2",
    )
    .bind(ledger_id)
    .bind(wallet_id)
    .fetch_one(&mut *conn)
    .await?;
    // All up to `low` were recorded before the time, all from `high` on were not.
    let (mut low, mut high) = (0_i64, newest.unwrap_or(0).saturating_add(1));
    while high.saturating_sub(low) > 1 {
        let middle = low.midpoint(high);
        let before: bool = sqlx::query_scalar(
            "SELECT t.recorded_at < $4 FROM ledger_entries e
             JOIN transactions t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id
             WHERE e.ledger_id = $1 AND e.wallet_id = $2 AND e.version = $3",
        )
        .bind(ledger_id)
        .bind(wallet_id)
        .bind(middle)
        .bind(time)
        .fetch_one(&mut *conn)
        .await?;
        if before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
