//! Statements of the benches: scratch databases and what the engine is compared with.

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::Settings;

/// A connection to the database of these settings, outside any pool. Its statements take as long as
/// they take.
///
/// # Errors
/// Where there is none; `PoolTimedOut` after the time for connecting.
pub async fn connect(settings: &Settings) -> sqlx::Result<PgConnection> {
    let connecting = PgConnection::connect_with(&settings.options);
    tokio::time::timeout(settings.connect_timeout, connecting)
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Makes a database. The name has to be one that needs no quotes.
///
/// # Errors
/// Where the database fails, or the role may not make databases.
pub async fn create_database(admin: &Settings, name: &str) -> sqlx::Result<()> {
    let mut conn = connect(admin).await?;
    let statement = format!("CREATE DATABASE {}", plain(name)?);
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// Drops a database, whoever is connected to it.
///
/// # Errors
/// Where the database fails.
pub async fn drop_database(admin: &Settings, name: &str) -> sqlx::Result<()> {
    let mut conn = connect(admin).await?;
    let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", plain(name)?);
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// A name can't be a parameter; this one can't be anything but a name.
fn plain(name: &str) -> sqlx::Result<&str> {
    if name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        Ok(name)
    } else {
        Err(sqlx::Error::Configuration(
            format!("{name:?} is no plain name").into(),
        ))
    }
}

/// The server's version, and how it makes commits durable.
///
/// # Errors
/// Where the database fails.
pub async fn server(conn: &mut PgConnection) -> sqlx::Result<(String, String)> {
    sqlx::query_as(
        "SELECT current_setting('server_version'),
                'fsync ' || current_setting('fsync') || ', synchronous_commit '
                    || current_setting('synchronous_commit')",
    )
    .fetch_one(conn)
    .await
}

/// Makes tables of the same shape, with the same indexes and checks and without triggers, and the
/// lean function that posts one transfer a call.
///
/// # Errors
/// Where the database fails.
pub async fn create_floor(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "CREATE SCHEMA floor;
         CREATE TABLE floor.transactions (LIKE transactions INCLUDING ALL);
         CREATE TABLE floor.ledger_entries (LIKE ledger_entries INCLUDING ALL);
         CREATE TABLE floor.transaction_outbox (LIKE transaction_outbox INCLUDING ALL);
         CREATE TABLE floor.wallets (LIKE wallets INCLUDING ALL) WITH (fillfactor = 50);
         CREATE TABLE floor.inserted (LIKE transactions INCLUDING ALL);
         CREATE FUNCTION floor.transfer(p_key text, p_from uuid, p_to uuid, p_amount bigint)
         RETURNS uuid LANGUAGE plpgsql AS $$
         DECLARE
             tx uuid := gen_random_uuid();
             a floor.wallets;
             b floor.wallets;
         BEGIN
             PERFORM FROM floor.wallets WHERE ledger_id = 1 AND id IN (p_from, p_to)
                 ORDER BY id FOR NO KEY UPDATE;
             UPDATE floor.wallets SET balance = balance - p_amount, version = version + 1
                 WHERE ledger_id = 1 AND id = p_from RETURNING * INTO a;
             UPDATE floor.wallets SET balance = balance + p_amount, version = version + 1
                 WHERE ledger_id = 1 AND id = p_to RETURNING * INTO b;
             INSERT INTO floor.transactions (ledger_id, id, idempotency_key, request_hash, kind,
                                             entry_count, effective_at, recorded_at)
             VALUES (1, tx, p_key, sha256(p_key::bytea), 'transfer', 2, now(), now());
             INSERT INTO floor.ledger_entries
             VALUES (1, a.id, a.version, tx, a.currency, -p_amount, a.balance, a.head_hash),
                    (1, b.id, b.version, tx, b.currency, p_amount, b.balance, b.head_hash);
             INSERT INTO floor.transaction_outbox (ledger_id, event_id, event_type, topic, key,
                                                   subject, payload, created_at)
             VALUES (1, tx, 'aegis.transaction.posted', 'aegis.transactions', b.id::text, tx::text,
                     json_build_object('transaction_id', tx, 'from', a.address, 'to', b.address,
                                       'currency', a.currency, 'amount', p_amount,
                                       'from_balance', a.balance, 'to_balance', b.balance)::text,
                     now());
             RETURN tx;
         END $$;",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Copies the wallets into the lean function's table: their ids in order of address.
///
/// # Errors
/// Where the database fails.
pub async fn fill_floor_wallets(conn: &mut PgConnection) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query("INSERT INTO floor.wallets SELECT * FROM wallets")
        .execute(&mut *conn)
        .await?;
    sqlx::query_scalar("SELECT id FROM floor.wallets ORDER BY address")
        .fetch_all(conn)
        .await
}

/// One transfer by the lean function, committed by itself.
///
/// # Errors
/// Where the database fails.
pub async fn lean_transfer(
    conn: &mut PgConnection,
    key: &str,
    from: Uuid,
    to: Uuid,
) -> sqlx::Result<()> {
    sqlx::query("SELECT floor.transfer($1, $2, $3, 1)")
        .bind(key)
        .bind(from)
        .bind(to)
        .execute(conn)
        .await?;
    Ok(())
}

/// One row by a bare INSERT, committed by itself.
///
/// # Errors
/// Where the database fails.
pub async fn insert_one(conn: &mut PgConnection) -> sqlx::Result<()> {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO floor.inserted (ledger_id, id, idempotency_key, request_hash, kind,
                                     entry_count, effective_at, recorded_at)
         VALUES (1, $1, $2, $3, 'transfer', 2, now(), now())",
    )
    .bind(id)
    .bind(id.to_string())
    .bind(&[7_u8; 32][..])
    .execute(conn)
    .await?;
    Ok(())
}

/// The rows that a batch wrote, in the format of binary COPY.
#[derive(Debug)]
pub struct Exported {
    transactions: Vec<u8>,
    entries: Vec<u8>,
    outbox: Vec<u8>,
}

/// Reads back what a batch of these transactions wrote.
///
/// # Errors
/// Where the database fails.
pub async fn export(
    conn: &mut PgConnection,
    ledger_id: i32,
    ids: &[Uuid],
) -> sqlx::Result<Exported> {
    // COPY takes no parameters, a temporary table does.
    sqlx::query("CREATE TEMPORARY TABLE IF NOT EXISTS chosen (id uuid PRIMARY KEY)")
        .execute(&mut *conn)
        .await?;
    sqlx::query("TRUNCATE chosen").execute(&mut *conn).await?;
    sqlx::query("INSERT INTO chosen SELECT unnest($1::uuid[])")
        .bind(ids)
        .execute(&mut *conn)
        .await?;
    Ok(Exported {
        transactions: copy_out(
            conn,
            &format!(
                "COPY (SELECT t.* FROM transactions t JOIN chosen USING (id)
                       WHERE t.ledger_id = {ledger_id} ORDER BY t.id) TO STDOUT (FORMAT binary)"
            ),
        )
        .await?,
        entries: copy_out(
            conn,
            &format!(
                "COPY (SELECT e.* FROM ledger_entries e JOIN chosen c ON c.id = e.transaction_id
                       WHERE e.ledger_id = {ledger_id} ORDER BY e.transaction_id)
                 TO STDOUT (FORMAT binary)"
            ),
        )
        .await?,
        outbox: copy_out(
            conn,
            &format!(
                "COPY (SELECT o.ledger_id, o.event_id, o.event_type, o.topic, o.key, o.subject,
                              o.correlation_id, o.traceparent, o.payload, o.created_at
                       FROM transaction_outbox o JOIN chosen c ON c.id = o.event_id
                       WHERE o.ledger_id = {ledger_id} ORDER BY o.id) TO STDOUT (FORMAT binary)"
            ),
        )
        .await?,
    })
}

async fn copy_out(conn: &mut PgConnection, statement: &str) -> sqlx::Result<Vec<u8>> {
    let chunks: Vec<Bytes> = conn.copy_out_raw(statement).await?.try_collect().await?;
    Ok(chunks.concat())
}

/// Writes the same rows by bare COPY, in one database transaction.
///
/// # Errors
/// Where the database fails.
pub async fn copy_floor(conn: &mut PgConnection, rows: Exported) -> sqlx::Result<()> {
    let mut transaction = conn.begin().await?;
    for (statement, bytes) in [
        (
            "COPY floor.transactions FROM STDIN (FORMAT binary)",
            rows.transactions,
        ),
        (
            "COPY floor.ledger_entries FROM STDIN (FORMAT binary)",
            rows.entries,
        ),
        (
            "COPY floor.transaction_outbox (ledger_id, event_id, event_type, topic, key, subject,
                 correlation_id, traceparent, payload, created_at) FROM STDIN (FORMAT binary)",
            rows.outbox,
        ),
    ] {
        let mut copy = transaction.copy_in_raw(statement).await?;
        copy.send(bytes).await?;
        copy.finish().await?;
    }
    transaction.commit().await
}

/// Empties the outbox and brings the tables to rest.
///
/// # Errors
/// Where the database fails.
pub async fn settle(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("TRUNCATE transaction_outbox")
        .execute(&mut *conn)
        .await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *conn).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut *conn).await?;
    Ok(())
}

/// Reads all entries of a ledger and counts them by the bytes' rows, doing nothing else.
///
/// # Errors
/// Where the database fails.
pub async fn read_entries(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<usize> {
    let statement = format!(
        "COPY (SELECT wallet_id, version, transaction_id, currency, amount, balance_after, hash
               FROM ledger_entries WHERE ledger_id = {ledger_id}) TO STDOUT (FORMAT binary)"
    );
    let mut chunks = conn.copy_out_raw(&statement).await?;
    let mut rows = 0;
    // The server sends a chunk a row, and one more at the end.
    while chunks.try_next().await?.is_some() {
        rows += 1;
    }
    Ok(rows)
}
