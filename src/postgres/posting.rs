//! The statements of a posting: read or lock, look up keys, write.
//!
//! | path | round trips |
//! |---|---|
//! | small batch on wallets that the engine knows, all of it posted | [`write_fenced`] (one call, committed by itself) |
//! | small batch | [`read`], [`write_fenced`] |
//! | small batch after its fence broke | BEGIN, [`lock`] (two), [`write_fenced`], COMMIT |
//! | large batch | BEGIN, [`lock`] (two), [`write_copy`] (four), COMMIT |
//!
//! Locks are taken in order of wallet id everywhere: two batches can't deadlock on them.

use std::collections::HashSet;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::copy::Rows;
use super::wallets;
use crate::ledger::{Address, Command, Currency, Entry, Hash, Wallet};
use crate::telemetry::span::Span;

/// A wallet with the row version that it was read at.
#[derive(Clone, Debug)]
pub struct ReadWallet {
    /// The wallet.
    pub wallet: Wallet,
    /// `xmin` of its row: differs once any column was written by anybody.
    pub xmin: i64,
}

/// A key that took effect before.
#[derive(Clone, Debug)]
pub struct SeenKey {
    /// The key.
    pub key: String,
    /// Fingerprint of the request that it stands for.
    pub request_hash: Vec<u8>,
    /// The transaction that it made.
    pub transaction_id: Uuid,
}

/// What a batch decides on.
#[derive(Debug, Default)]
pub struct Found {
    /// The wallets that exist.
    pub wallets: Vec<ReadWallet>,
    /// The keys that were used.
    pub keys: Vec<SeenKey>,
    /// The database's clock, UTC: one for all who post, however wrong the clocks of their hosts.
    pub now: Option<OffsetDateTime>,
}

/// The wallets of these addresses and currencies, in their order; `None` where there is none.
///
/// # Errors
/// Where the database fails.
pub async fn find_wallet_ids(
    conn: &mut PgConnection,
    ledger_id: i32,
    names: &[(&Address, Currency)],
) -> sqlx::Result<Vec<Option<Uuid>>> {
    sqlx::query_scalar(
        "SELECT (SELECT w.id FROM wallets w
                 WHERE w.ledger_id = $1 AND w.address = named.address
                   AND w.currency = named.currency)
         FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS named (address, currency, place)
         ORDER BY named.place",
    )
    .bind(ledger_id)
    .bind(column(names, |(address, _)| address.as_str()))
    .bind(column(names, |(_, currency)| currency.code()))
    .fetch_all(conn)
    .await
}

/// Reads wallets and keys in one round trip, locking nothing.
///
/// Each is looked up by itself (LATERAL), so that no plan reads the whole ledger: plans are made
/// while tables are small, and kept while they grow.
///
/// # Errors
/// Where the database fails.
pub async fn read(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_ids: &[Uuid],
    keys: &[&str],
) -> sqlx::Result<Found> {
    let rows = sqlx::query(
        "SELECT w.*, NULL::text AS key
         FROM unnest($2::uuid[]) AS named (id) CROSS JOIN LATERAL (
             SELECT w.id, w.address::text AS address, w.currency::text AS currency, w.balance,
                    w.held, w.version, w.head_hash::bytea AS head_hash, w.min_balance, w.status,
                    w.updated_at, w.xmin::text::bigint AS xmin
             FROM wallets w WHERE w.ledger_id = $1 AND w.id = named.id OFFSET 0
         ) w
         UNION ALL
         SELECT t.id, NULL, NULL, NULL, NULL, NULL, t.request_hash, NULL, NULL, NULL, NULL, used.key
         FROM unnest($3::text[]) AS used (key) CROSS JOIN LATERAL (
             -- The comparison of rows leaves the planner one index to go by.
             SELECT t.ledger_id, t.id, t.idempotency_key, t.request_hash FROM transactions t
             WHERE (t.ledger_id, t.idempotency_key) >= ($1, used.key)
             ORDER BY t.ledger_id, t.idempotency_key LIMIT 1
         ) t WHERE t.ledger_id = $1 AND t.idempotency_key = used.key
         UNION ALL
         SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, clock_timestamp(), NULL, NULL",
    )
    .bind(ledger_id)
    .bind(wallet_ids)
    .bind(keys)
    .fetch_all(conn)
    .await?;
    let mut found = Found::default();
    for row in &rows {
        if row.try_get::<Option<Uuid>, _>("id")?.is_none() {
            found.now = Some(row.try_get("updated_at")?);
            continue;
        }
        match row.try_get::<Option<String>, _>("key")? {
            Some(key) => found.keys.push(SeenKey {
                key,
                request_hash: row.try_get("head_hash")?,
                transaction_id: row.try_get("id")?,
            }),
            None => found.wallets.push(read_wallet(row)?),
        }
    }
    Ok(found)
}

fn read_wallet(row: &PgRow) -> sqlx::Result<ReadWallet> {
    Ok(ReadWallet {
        wallet: wallets::from_row(row)?,
        xmin: row.try_get("xmin")?,
    })
}

/// Locks the wallets in the order of `wallet_ids`, which has to be sorted, then looks up the keys:
/// what was committed while waiting for a lock is seen.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_ids: &[Uuid],
    keys: &[&str],
) -> sqlx::Result<Found> {
    let rows = sqlx::query(
        // One after the other in the order of the array: two batches can't deadlock.
        "SELECT w.*
         FROM unnest($2::uuid[]) AS named (id) CROSS JOIN LATERAL (
             SELECT w.id, w.address::text AS address, w.currency::text AS currency, w.balance,
                    w.held, w.version, w.head_hash::bytea AS head_hash, w.min_balance, w.status,
                    w.updated_at, w.xmin::text::bigint AS xmin
             FROM wallets w WHERE w.ledger_id = $1 AND w.id = named.id FOR NO KEY UPDATE
         ) w",
    )
    .bind(ledger_id)
    .bind(wallet_ids)
    .fetch_all(&mut *conn)
    .await?;
    let wallets = rows
        .iter()
        .map(read_wallet)
        .collect::<sqlx::Result<Vec<_>>>()?;
    Ok(Found {
        wallets,
        ..read(conn, ledger_id, &[], keys).await?
    })
}

/// Of these wallets, those that nobody else has locked now.
///
/// # Errors
/// Where the database fails.
pub async fn unlocked(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_ids: &[Uuid],
) -> sqlx::Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT w.id
         FROM unnest($2::uuid[]) AS named (id) CROSS JOIN LATERAL (
             SELECT w.id FROM wallets w WHERE w.ledger_id = $1 AND w.id = named.id
             FOR NO KEY UPDATE SKIP LOCKED
         ) w",
    )
    .bind(ledger_id)
    .bind(wallet_ids)
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().collect())
}

/// Has the server plan the session's statements anew, those inside functions and triggers too, for
/// the tables as large as they are now.
///
/// # Errors
/// Where the database fails.
pub async fn forget_plans(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("DISCARD PLANS").execute(conn).await?;
    Ok(())
}

/// Of these addresses, those that have a wallet in any currency.
///
/// # Errors
/// Where the database fails.
pub async fn addresses_in_any_currency(
    conn: &mut PgConnection,
    ledger_id: i32,
    addresses: &[&str],
) -> sqlx::Result<HashSet<Address>> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT named.address FROM unnest($2::text[]) AS named (address)
         WHERE EXISTS (
             SELECT FROM wallets w
             WHERE w.ledger_id = $1 AND w.address = named.address OFFSET 0
         )",
    )
    .bind(ledger_id)
    .bind(addresses)
    .fetch_all(conn)
    .await?;
    found
        .iter()
        .map(|text| text.parse().map_err(|_| super::unreadable("address", text)))
        .collect()
}

/// A header to write.
#[derive(Debug)]
pub struct TransactionRow<'a> {
    /// UUIDv7 of the time of recording.
    pub id: Uuid,
    /// The command that it comes from.
    pub command: &'a Command,
    /// How many entries it has.
    pub entry_count: i16,
    /// When it takes effect, UTC.
    pub effective_at: OffsetDateTime,
}

/// An event to leave in the outbox, in the same COMMIT.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Consumers drop repeats by it.
    pub event_id: Uuid,
    /// Such as `aegis.transaction.posted`.
    pub event_type: &'static str,
    /// Where it goes.
    pub topic: String,
    /// Whose order matters.
    pub key: String,
    /// What it is about.
    pub subject: String,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context to hand on.
    pub traceparent: Option<String>,
    /// JSON.
    pub payload: String,
}

/// A wallet's new state.
#[derive(Clone, Debug)]
pub struct WalletRow {
    /// The wallet.
    pub id: Uuid,
    /// The row that the decisions were made on.
    pub xmin: i64,
    /// New balance, minor units.
    pub balance: i64,
    /// New version.
    pub version: i64,
    /// Hash of its last entry.
    pub head_hash: Hash,
}

/// All that a batch writes.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Headers.
    pub transactions: Vec<TransactionRow<'a>>,
    /// Entries, those of one transaction side by side.
    pub entries: Vec<Entry>,
    /// Events.
    pub outbox: Vec<OutboxRow>,
    /// Wallets, in order of id.
    pub wallets: Vec<WalletRow>,
}

/// Writes a batch in one round trip unless a wallet is no longer the row that was read: the `xmin`
/// of the wallets from here on, `None` where nothing was written.
///
/// # Errors
/// Where the database fails; a unique violation where a key took effect in the meantime.
pub async fn write_fenced(
    conn: &mut PgConnection,
    ledger_id: i32,
    batch: &Batch<'_>,
    recorded_at: OffsetDateTime,
) -> sqlx::Result<Option<i64>> {
    let Batch {
        transactions: t,
        entries: e,
        outbox: o,
        wallets: w,
    } = batch;
    sqlx::query_scalar(
        "SELECT post_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                           $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)",
    )
    .bind(ledger_id)
    .bind(column(w, |w| w.id))
    .bind(column(w, |w| w.xmin))
    .bind(column(w, |w| w.balance))
    .bind(column(w, |w| w.version))
    .bind(column(w, |w| &w.head_hash[..]))
    .bind(column(t, |t| t.id))
    .bind(column(t, |t| t.command.key.as_str()))
    .bind(column(t, |t| &t.command.request_hash[..]))
    .bind(column(t, |t| t.command.kind.as_str()))
    .bind(column(t, |t| t.entry_count))
    .bind(column(t, |t| t.command.details.reference.as_deref()))
    .bind(column(t, |t| t.command.details.correlation_id.as_deref()))
    .bind(column(t, |t| t.effective_at))
    .bind(column(t, |t| t.command.details.metadata.as_ref().map(|m| m.as_str())))
    .bind(recorded_at)
    .bind(column(e, |e| e.link.wallet_id))
    .bind(column(e, |e| e.link.version))
    .bind(column(e, |e| e.link.transaction_id))
    .bind(column(e, |e| e.link.currency.code()))
    .bind(column(e, |e| e.link.amount))
    .bind(column(e, |e| e.link.balance_after))
    .bind(column(e, |e| &e.hash[..]))
    .bind(column(o, |o| o.event_id))
    .bind(column(o, |o| o.event_type))
    .bind(column(o, |o| o.topic.as_str()))
    .bind(column(o, |o| o.key.as_str()))
    .bind(column(o, |o| o.subject.as_str()))
    .bind(column(o, |o| o.correlation_id.as_deref()))
    .bind(column(o, |o| o.traceparent.as_deref()))
    .bind(column(o, |o| o.payload.as_str()))
    .fetch_one(conn)
    .await
}

fn column<'a, R, T>(rows: &'a [R], field: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}

/// Writes a batch by COPY. The wallets have to be locked.
///
/// # Errors
/// Where the database fails; a unique violation where a key took effect in the meantime.
pub async fn write_copy(
    conn: &mut PgConnection,
    ledger_id: i32,
    batch: &Batch<'_>,
    recorded_at: OffsetDateTime,
) -> sqlx::Result<()> {
    copy_in(
        conn,
        "COPY transactions (ledger_id, id, idempotency_key, request_hash, kind, entry_count,
             reference, correlation_id, effective_at, recorded_at, metadata)
         FROM STDIN (FORMAT binary)",
        encode_transactions(ledger_id, batch, recorded_at),
    )
    .await?;
    copy_in(
        conn,
        "COPY ledger_entries (ledger_id, wallet_id, version, transaction_id, currency, amount,
             balance_after, hash)
         FROM STDIN (FORMAT binary)",
        encode_entries(ledger_id, batch),
    )
    .await?;
    copy_in(
        conn,
        "COPY transaction_outbox (ledger_id, event_id, event_type, topic, key, subject,
             correlation_id, traceparent, payload, created_at)
         FROM STDIN (FORMAT binary)",
        encode_outbox(ledger_id, batch, recorded_at),
    )
    .await?;
    let updated = sqlx::query(
        // By way of ctid, as `post_batch` does. The rows are locked: they stay where they are.
        "UPDATE wallets w
         SET balance = c.balance, version = c.version, head_hash = c.hash, updated_at = $6
         FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[])
              AS c (id, balance, version, hash)
         CROSS JOIN LATERAL (
             SELECT l.ctid FROM wallets l WHERE l.ledger_id = $1 AND l.id = c.id OFFSET 0
         ) locked
         WHERE w.ctid = locked.ctid",
    )
    .bind(ledger_id)
    .bind(column(&batch.wallets, |w| w.id))
    .bind(column(&batch.wallets, |w| w.balance))
    .bind(column(&batch.wallets, |w| w.version))
    .bind(column(&batch.wallets, |w| &w.head_hash[..]))
    .bind(recorded_at)
    .execute(conn)
    .await?;
    match usize::try_from(updated.rows_affected()) {
        Ok(rows) if rows == batch.wallets.len() => Ok(()),
        // The caller's transaction is undone.
        _ => Err(sqlx::Error::RowNotFound),
    }
}

async fn copy_in(conn: &mut PgConnection, statement: &str, rows: Vec<u8>) -> sqlx::Result<()> {
    let _span = Span::statement(statement);
    let mut copy = conn.copy_in_raw(statement).await?;
    copy.send(rows).await?;
    copy.finish().await?;
    Ok(())
}

fn encode_transactions(ledger_id: i32, batch: &Batch<'_>, recorded_at: OffsetDateTime) -> Vec<u8> {
    let mut rows = Rows::with_capacity(batch.transactions.len().saturating_mul(220));
    for transaction in &batch.transactions {
        let command = transaction.command;
        rows.row(11);
        rows.i32(ledger_id);
        rows.uuid(transaction.id);
        rows.text(command.key.as_str());
        rows.bytes(&command.request_hash);
        rows.text(command.kind.as_str());
        rows.i16(transaction.entry_count);
        rows.optional_text(command.details.reference.as_deref());
        rows.optional_text(command.details.correlation_id.as_deref());
        rows.timestamp(transaction.effective_at);
        rows.timestamp(recorded_at);
        rows.optional_text(command.details.metadata.as_ref().map(|m| m.as_str()));
    }
    rows.finish()
}

fn encode_entries(ledger_id: i32, batch: &Batch<'_>) -> Vec<u8> {
    let mut rows = Rows::with_capacity(batch.entries.len().saturating_mul(140));
    for entry in &batch.entries {
        rows.row(8);
        rows.i32(ledger_id);
        rows.uuid(entry.link.wallet_id);
        rows.i64(entry.link.version);
        rows.uuid(entry.link.transaction_id);
        rows.text(entry.link.currency.code());
        rows.i64(entry.link.amount);
        rows.i64(entry.link.balance_after);
        rows.bytes(&entry.hash);
    }
    rows.finish()
}

fn encode_outbox(ledger_id: i32, batch: &Batch<'_>, recorded_at: OffsetDateTime) -> Vec<u8> {
    let mut rows = Rows::with_capacity(batch.outbox.len().saturating_mul(900));
    for event in &batch.outbox {
        rows.row(10);
        rows.i32(ledger_id);
        rows.uuid(event.event_id);
        rows.text(event.event_type);
        rows.text(&event.topic);
        rows.text(&event.key);
        rows.text(&event.subject);
        rows.optional_text(event.correlation_id.as_deref());
        rows.optional_text(event.traceparent.as_deref());
        rows.text(&event.payload);
        rows.timestamp(recorded_at);
    }
    rows.finish()
}
