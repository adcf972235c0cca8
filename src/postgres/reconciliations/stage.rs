//! Lines on their way into the database, and into their table.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::matching::{Scope, hash_joins_only};
use crate::postgres::copy::Rows;
use crate::telemetry::span::Span;

/// A line to be staged.
#[derive(Clone, Copy, Debug)]
pub struct StagedLine<'a> {
    /// What makes it itself; equal lines have the same.
    pub identity: Uuid,
    /// Where it begins in the file.
    pub number: u64,
    /// Which of the file's statements it stands in.
    pub statement: i32,
    /// The account, as the file names it.
    pub account: &'a str,
    /// What it is about.
    pub kind: &'a str,
    /// As both sides name it.
    pub reference: Option<&'a str>,
    /// The other side's own id.
    pub external_id: Option<&'a str>,
    /// The PSP's payout that it is a part of.
    pub batch: Option<&'a str>,
    /// Its currency.
    pub currency: &'a str,
    /// Minor units: money that came is positive.
    pub amount: i64,
    /// Minor units.
    pub fee: i64,
    /// When, UTC.
    pub booked_at: OffsetDateTime,
}

const LOCK: &str = "
    SELECT pg_try_advisory_xact_lock(hashtextextended('aegis statements ' || $1 || ' ' || $2, 0))";
const LOCK_SHARED: &str = "
    SELECT pg_try_advisory_xact_lock_shared(
        hashtextextended('aegis statements ' || $1 || ' ' || $2, 0))";

async fn locked(
    conn: &mut PgConnection,
    statement: &'static str,
    ledger_id: i32,
    wallet: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(statement)
        .bind(ledger_id.to_string())
        .bind(wallet)
        .fetch_one(conn)
        .await
}

/// Keeps runs away from a wallet's statements for the transaction that `conn` is in: whether none is at
/// them. Others may do so too.
///
/// # Errors
/// Where the database fails.
pub async fn keep_runs_away(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet: &str,
) -> sqlx::Result<bool> {
    locked(conn, LOCK_SHARED, ledger_id, wallet).await
}

/// Begins to stage, within the transaction that `conn` is in: whether no other run is at the same
/// wallet's statements.
///
/// # Errors
/// Where the database fails.
pub async fn begin(conn: &mut PgConnection, ledger_id: i32, wallet: &str) -> sqlx::Result<bool> {
    if !locked(conn, LOCK, ledger_id, wallet).await? {
        return Ok(false);
    }
    // A file takes as long as it takes, and is read while the transaction is open.
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL work_mem = '128MB';
         CREATE TEMP TABLE incoming (
             identity uuid, line bigint, statement integer, account text, kind text COLLATE \"C\",
             reference text COLLATE \"C\", external_id text COLLATE \"C\", batch text COLLATE \"C\",
             currency text COLLATE \"C\", amount bigint, fee bigint, booked_at timestamptz
         ) ON COMMIT DROP",
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Stages lines.
///
/// # Errors
/// Where the database fails.
pub async fn copy(conn: &mut PgConnection, lines: &[StagedLine<'_>]) -> sqlx::Result<()> {
    let mut rows = Rows::with_capacity(lines.len().saturating_mul(192));
    for line in lines {
        rows.row(12);
        rows.uuid(line.identity);
        rows.i64(i64::try_from(line.number).unwrap_or(i64::MAX));
        rows.i32(line.statement);
        rows.text(line.account);
        rows.text(line.kind);
        rows.optional_text(line.reference);
        rows.optional_text(line.external_id);
        rows.optional_text(line.batch);
        rows.text(line.currency);
        rows.i64(line.amount);
        rows.i64(line.fee);
        rows.timestamp(line.booked_at);
    }
    let statement = "COPY pg_temp.incoming FROM STDIN (FORMAT binary)";
    let _span = Span::statement(statement);
    let mut copy = conn.copy_in_raw(statement).await?;
    copy.send(rows.finish()).await?;
    copy.finish().await?;
    Ok(())
}

/// Gives each staged line its id. What is open about them is kept in `pg_temp.amiss`.
///
/// # Errors
/// Where the database fails.
pub async fn number(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<()> {
    // The first of several equal lines of a statement goes by their identity, the others by their place
    // too. The same one in two statements of the file is one line.
    sqlx::raw_sql(
        "CREATE TEMP TABLE lines ON COMMIT DROP AS
         SELECT DISTINCT ON (identity, occurrence)
                CASE occurrence WHEN 1 THEN identity
                    ELSE encode(substr(sha256(uuid_send(identity) || int8send(occurrence)), 1, 16),
                                'hex')::uuid END AS id,
                false AS is_old, line, account, kind, reference, external_id, batch, currency, amount, fee, booked_at
         FROM (SELECT i.*, row_number() OVER (
                   PARTITION BY identity, statement ORDER BY line) AS occurrence
               FROM pg_temp.incoming i) o
         ORDER BY identity, occurrence, line;
         DROP TABLE pg_temp.incoming;
         CREATE TEMP TABLE told (batch text COLLATE \"C\") ON COMMIT DROP;
         CREATE TEMP TABLE retold (id uuid, fee bigint, former bigint) ON COMMIT DROP",
    )
    .execute(&mut *conn)
    .await?;
    hash_joins_only(conn, true).await?;
    sqlx::query(
        "CREATE TEMP TABLE amiss ON COMMIT DROP AS
         SELECT d.id FROM discrepancies d JOIN pg_temp.lines l ON l.id = d.line_id
         WHERE d.ledger_id = $1 AND d.status <> 'resolved'",
    )
    .bind(scope.ledger_id)
    .execute(&mut *conn)
    .await?;
    hash_joins_only(conn, false).await
}

/// Leaves out the lines that were recorded before: how many. Where they say which batch a recorded line
/// is of, or what its fee was, and nobody had, that is written down. Those with another fee than before
/// are kept in `pg_temp.retold`.
///
/// # Errors
/// Where the database fails.
pub async fn known(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<i64> {
    // Not each of a PSP's exports says which batch a line is of, or what was taken for it.
    let known: i64 = sqlx::query_scalar(
        "WITH gone AS (
             DELETE FROM pg_temp.lines l USING statement_lines s
             WHERE s.ledger_id = $1 AND s.id = l.id
             RETURNING l.id, CASE WHEN s.batch IS NULL THEN l.batch END AS batch,
                       l.fee, nullif(s.fee, 0) AS former,
                       l.fee <> 0 AND l.fee <> s.fee AS is_retold
         ), told AS (
             UPDATE statement_lines s
             SET batch = coalesce(s.batch, g.batch),
                 fee = CASE WHEN g.is_retold AND g.former IS NULL THEN g.fee ELSE s.fee END
             FROM gone g
             WHERE (g.batch IS NOT NULL OR (g.is_retold AND g.former IS NULL))
               AND s.ledger_id = $1 AND s.id = g.id
             RETURNING g.batch
         ), named AS (
             INSERT INTO pg_temp.told SELECT DISTINCT batch FROM told WHERE batch IS NOT NULL
         ), retold AS (
             INSERT INTO pg_temp.retold SELECT id, fee, former FROM gone WHERE is_retold
         )
         SELECT count(*) FROM gone",
    )
    .bind(scope.ledger_id)
    .fetch_one(&mut *conn)
    .await?;
    // Lines that no run could match yet are looked at again with the new ones.
    sqlx::query(
        "INSERT INTO pg_temp.lines
         SELECT id, true, line, account, kind, reference, external_id, batch, currency, amount, fee,
                booked_at
         FROM statement_lines WHERE ledger_id = $1 AND wallet = $2 AND match IS NULL",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .execute(&mut *conn)
    .await?;
    Ok(known)
}

/// Writes the lines with what became of them: whether those that were open still are. Where they are
/// not, somebody else decided on one of them meanwhile, and the run is to be undone.
///
/// # Errors
/// Where the database fails.
pub async fn write(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query(
        "INSERT INTO statement_lines (
             ledger_id, id, reconciliation_id, line, wallet, account, kind, reference, external_id,
             batch, currency, amount, fee, booked_at, match, transaction_id, fee_taken_by)
         SELECT $1, id, $3, line, $2, account, kind, reference, external_id, batch, currency, amount,
                fee, booked_at, match, transaction_id, CASE WHEN fee_taken THEN $3 END
         FROM pg_temp.fresh WHERE NOT is_old",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .bind(reconciliation)
    .execute(&mut *conn)
    .await?;
    hash_joins_only(conn, true).await?;
    let were_open: bool = sqlx::query_scalar(
        "WITH written AS (
             UPDATE statement_lines s SET match = f.match, transaction_id = f.transaction_id,
                    fee_taken_by = CASE WHEN f.fee_taken THEN $2 END
             FROM pg_temp.fresh f
             WHERE f.is_old AND f.match IS NOT NULL AND NOT f.was_matched
               AND s.ledger_id = $1 AND s.wallet = $3 AND s.id = f.id AND s.match IS NULL
             RETURNING s.id
         )
         SELECT (SELECT count(*) FROM written)
              = (SELECT count(*) FROM pg_temp.fresh f
                 WHERE f.is_old AND f.match IS NOT NULL AND NOT f.was_matched)",
    )
    .bind(scope.ledger_id)
    .bind(reconciliation)
    .bind(scope.wallet)
    .fetch_one(&mut *conn)
    .await?;
    hash_joins_only(conn, false).await?;
    sqlx::query(
        "UPDATE statement_lines s SET fee_taken_by = $2
         FROM pg_temp.fresh f
         WHERE f.was_matched AND f.fee_taken AND s.ledger_id = $1 AND s.id = f.id",
    )
    .bind(scope.ledger_id)
    .bind(reconciliation)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO statement_matches (ledger_id, wallet, transaction_id, line_id)
         SELECT $1, $2, transaction_id, line_id FROM pg_temp.many",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .execute(conn)
    .await?;
    Ok(were_open)
}
