//! What verification reads: whole tables by ranges of pages, out of one snapshot.
//!
//! Needs PostgreSQL 14, which brought scans of a range of row addresses.

mod lookups;
mod payouts;
mod transit;

use std::ops::Range;

use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::Settings;
use super::copy_out::{self, CopyError};
use crate::ledger::{Hash, Header, chain_start};

pub use lookups::{
    Miscounted, OutboxEvent, Unbalanced, miscounted, outbox_page, unbalanced, wallet_name,
};
pub use payouts::{PaidOut, payouts_page};
pub use transit::{InTransit, Transit, open_refunds, transit_differs};

/// A view of the database as it stood at one moment, for several connections.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What [`join`] takes.
    pub id: String,
    /// Pages of `ledger_entries`.
    pub entry_pages: u32,
    /// Pages of `transactions`.
    pub transaction_pages: u32,
}

/// Opens a connection that may read for hours, and writes nothing.
///
/// # Errors
/// Where the database can't be reached.
pub async fn connect(settings: &Settings) -> sqlx::Result<PgConnection> {
    let options = settings.session("aegis-verify").options([
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "0"),
        // One connection holds the snapshot while the others read.
        ("idle_in_transaction_session_timeout", "0"),
        // A program that was stopped leaves no statement running.
        ("client_connection_check_interval", "1s"),
        ("synchronize_seqscans", "off"),
        ("jit", "off"),
    ]);
    let connect = <PgConnection as sqlx::Connection>::connect_with(&options);
    tokio::time::timeout(settings.connect_timeout, connect)
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)?
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Takes the snapshot, which lasts as long as this connection's transaction.
///
/// The sizes are taken after it, so that all that it shows lies below them: pages appended later
/// hold nothing visible, however long posting goes on.
///
/// # Errors
/// Where the database fails.
pub async fn open(conn: &mut PgConnection) -> sqlx::Result<Snapshot> {
    sqlx::query(BEGIN).execute(&mut *conn).await?;
    // Keeps the rows at their addresses: nobody rewrites the tables while the lock is held.
    sqlx::query(
        "LOCK TABLE wallets, transactions, ledger_entries, transaction_outbox IN ACCESS SHARE MODE",
    )
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query(
        "SELECT pg_export_snapshot() AS id,
                pg_relation_size('ledger_entries') / current_setting('block_size')::bigint
                    AS entry_pages,
                pg_relation_size('transactions') / current_setting('block_size')::bigint
                    AS transaction_pages",
    )
    .fetch_one(conn)
    .await?;
    let pages = |name: &str| {
        // A table has fewer than 2^32 pages.
        row.try_get::<i64, _>(name)
            .map(|pages| u32::try_from(pages).unwrap_or(u32::MAX))
    };
    Ok(Snapshot {
        id: row.try_get("id")?,
        entry_pages: pages("entry_pages")?,
        transaction_pages: pages("transaction_pages")?,
    })
}

/// Joins a snapshot with another connection, which then reads by ranges of pages.
///
/// # Errors
/// Where the database fails, or the snapshot's own transaction has ended.
pub async fn join(conn: &mut PgConnection, snapshot: &Snapshot) -> sqlx::Result<()> {
    // Hexadecimal numbers and dashes; as a statement it takes no parameter.
    let id = snapshot.id.replace('\'', "");
    let statements = [
        BEGIN.to_owned(),
        format!("SET TRANSACTION SNAPSHOT '{id}'"),
        // All but the scan of a range: an index would be read again and again for every range, and
        // parallel workers would hand a wallet's entries on out of order.
        "SET enable_seqscan = off".to_owned(),
        "SET enable_indexscan = off".to_owned(),
        "SET enable_indexonlyscan = off".to_owned(),
        "SET enable_bitmapscan = off".to_owned(),
        "SET max_parallel_workers_per_gather = 0".to_owned(),
    ];
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// A wallet as verification reads it.
#[derive(Clone, Copy, Debug)]
pub struct WalletRow<'a> {
    /// Its id.
    pub id: Uuid,
    /// Currency code.
    pub currency: &'a str,
    /// Minor units.
    pub balance: i64,
    /// Reserved part of the balance, minor units.
    pub held: i64,
    /// What `balance - held` may not fall below.
    pub min_balance: Option<i64>,
    /// How many entries it has.
    pub version: i64,
    /// Hash of its last entry.
    pub head_hash: Hash,
    /// What its chain begins with.
    pub chain_start: Hash,
}

/// Reads a ledger's wallets, or one of them.
///
/// # Errors
/// Where the database fails.
pub async fn wallets(
    conn: &mut PgConnection,
    ledger_id: i32,
    only: Option<Uuid>,
    mut each: impl FnMut(&WalletRow<'_>),
) -> sqlx::Result<()> {
    // COPY takes no parameters. A number and a UUID can't carry anything else in.
    let only = only.map_or_else(String::new, |id| format!(" AND id = '{id}'"));
    let statement = format!(
        "COPY (SELECT id, address, currency, balance, held, min_balance, version, head_hash
               FROM wallets WHERE ledger_id = {ledger_id}{only})
         TO STDOUT (FORMAT binary)"
    );
    copy_out::read(conn, &statement, 8, |fields| {
        let id = fields.uuid("wallets.id")?;
        let address = fields.text("wallets.address")?;
        let currency = fields.text("wallets.currency")?;
        each(&WalletRow {
            id,
            currency,
            chain_start: chain_start(ledger_id, id, currency, address),
            balance: fields.i64("wallets.balance")?,
            held: fields.i64("wallets.held")?,
            min_balance: fields.optional_i64("wallets.min_balance")?,
            version: fields.i64("wallets.version")?,
            head_hash: hash(fields.bytes("wallets.head_hash")?),
        });
        Ok(())
    })
    .await
}

/// A hash of another length than SHA-256 has can't be right. It stands as zeros, which are the
/// hash of no entry.
fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or_default()
}

/// An entry as verification reads it.
#[derive(Clone, Copy, Debug)]
pub struct EntryRow<'a> {
    /// The wallet that it moves.
    pub wallet_id: Uuid,
    /// Its place in the wallet's history.
    pub version: i64,
    /// The transaction that it belongs to.
    pub transaction_id: Uuid,
    /// Currency code.
    pub currency: &'a str,
    /// Signed minor units.
    pub amount: i64,
    /// Minor units.
    pub balance_after: i64,
    /// Hash over the entry and the one before it.
    pub hash: Hash,
}

/// Reads a ledger's entries on these pages, in the order in which they lie there.
///
/// # Errors
/// Where the database fails.
pub async fn entries(
    conn: &mut PgConnection,
    ledger_id: i32,
    pages: &Range<u32>,
    each: impl FnMut(&EntryRow<'_>),
) -> sqlx::Result<()> {
    let Range { start, end } = pages;
    let filter = format!("ctid >= '({start},0)' AND ctid < '({end},0)'");
    copy_entries(conn, ledger_id, &filter, each).await
}

/// Reads one wallet's entries in order of version.
///
/// # Errors
/// Where the database fails.
pub async fn wallet_entries(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_id: Uuid,
    each: impl FnMut(&EntryRow<'_>),
) -> sqlx::Result<()> {
    let filter = format!("wallet_id = '{wallet_id}' ORDER BY version");
    copy_entries(conn, ledger_id, &filter, each).await
}

async fn copy_entries(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &str,
    mut each: impl FnMut(&EntryRow<'_>),
) -> sqlx::Result<()> {
    let statement = format!(
        "COPY (SELECT wallet_id, version, transaction_id, currency, amount, balance_after, hash
               FROM ledger_entries WHERE ledger_id = {ledger_id} AND {filter})
         TO STDOUT (FORMAT binary)"
    );
    copy_out::read(conn, &statement, 7, |fields| {
        each(&EntryRow {
            wallet_id: fields.uuid("ledger_entries.wallet_id")?,
            version: fields.i64("ledger_entries.version")?,
            transaction_id: fields.uuid("ledger_entries.transaction_id")?,
            currency: fields.text("ledger_entries.currency")?,
            amount: fields.i64("ledger_entries.amount")?,
            balance_after: fields.i64("ledger_entries.balance_after")?,
            hash: hash(fields.bytes("ledger_entries.hash")?),
        });
        Ok(())
    })
    .await
}

/// Microseconds from 1970 to 2000, where PostgreSQL's time begins.
const EPOCH_US: i64 = 946_684_800_000_000;

/// Reads the ids and headers of a ledger's transactions on these pages.
///
/// # Errors
/// Where the database fails.
pub async fn transactions(
    conn: &mut PgConnection,
    ledger_id: i32,
    pages: &Range<u32>,
    mut each: impl FnMut(Uuid, &Header<'_>),
) -> sqlx::Result<()> {
    let Range { start, end } = pages;
    let statement = format!(
        "COPY (SELECT id, idempotency_key, request_hash, kind, entry_count, reference,
                      correlation_id, effective_at, recorded_at, reverses, metadata::text
               FROM transactions
               WHERE ledger_id = {ledger_id} AND ctid >= '({start},0)' AND ctid < '({end},0)')
         TO STDOUT (FORMAT binary)"
    );
    copy_out::read(conn, &statement, 11, |fields| {
        let id = fields.uuid("transactions.id")?;
        let header = Header {
            ledger_id,
            idempotency_key: fields.text("transactions.idempotency_key")?,
            request_hash: fields.bytes("transactions.request_hash")?,
            kind: fields.text("transactions.kind")?,
            entry_count: fields.i16("transactions.entry_count")?,
            reference: fields.optional_text("transactions.reference")?,
            correlation_id: fields.optional_text("transactions.correlation_id")?,
            effective_at_us: time_us(fields.i64("transactions.effective_at")?),
            recorded_at_us: time_us(fields.i64("transactions.recorded_at")?),
            reverses: fields.optional_uuid("transactions.reverses")?,
            metadata: fields.optional_text("transactions.metadata")?,
        };
        each(id, &header);
        Ok::<_, CopyError>(())
    })
    .await
}

/// From PostgreSQL's microseconds since 2000 to those since 1970. Its infinities stay what they are.
fn time_us(since_2000: i64) -> i64 {
    since_2000.saturating_add(EPOCH_US)
}
