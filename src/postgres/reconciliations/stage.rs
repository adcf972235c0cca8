//! Lines on their way into the database, and into their table.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::matching::Scope;
use crate::postgres::copy::Rows;
use crate::telemetry::span::Span;

/// A line to be staged.
#[derive(Clone, Copy, Debug)]
pub struct StagedLine<'a> {
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

/// Begins to stage, within the transaction that `conn` is in: whether no other run is at the same
/// wallet's statements.
///
/// # Errors
/// Where the database fails.
pub async fn begin(conn: &mut PgConnection, ledger_id: i32, wallet: &str) -> sqlx::Result<bool> {
    let free: bool = sqlx::query_scalar(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('aegis statements ' || $1 || ' ' || $2, 0))",
    )
    .bind(ledger_id.to_string())
    .bind(wallet)
    .fetch_one(&mut *conn)
    .await?;
    if !free {
        return Ok(false);
    }
    // A file takes as long as it takes, and is read while the transaction is open.
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL work_mem = '128MB';
         CREATE TEMP TABLE incoming (
             line bigint, statement integer, account text, kind text COLLATE \"C\",
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
        rows.row(11);
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

/// Gives each staged line its identity, and leaves out those that were recorded before: how many.
/// Lines that no run could match yet are looked at again with the new ones.
///
/// # Errors
/// Where the database fails.
pub async fn known(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<i64> {
    // A PSP's own name for a payment is left out of its identity where both sides' name is there:
    // its exports don't all have it. Banks' names are used again each year, and the day tells.
    sqlx::query(
        "CREATE TEMP TABLE identified ON COMMIT DROP AS
         SELECT DISTINCT ON (id) * FROM (
             SELECT encode(substr(sha256(convert_to(concat_ws(E'\\x1f', $1::text, n.account, n.kind,
                        n.name, n.currency, n.amount::text, n.day::text, n.occurrence::text),
                        'UTF8')), 1, 16), 'hex')::uuid AS id, n.*
             FROM (
                 SELECT m.*, row_number() OVER (
                     PARTITION BY m.statement, m.account, m.kind, m.name, m.currency, m.amount, m.day
                     ORDER BY m.line) AS occurrence
                 FROM (
                     SELECT i.*, (i.booked_at AT TIME ZONE 'UTC')::date AS day,
                            CASE WHEN $2::text IS NULL
                                 THEN concat_ws(E'\\x1f', coalesce(reference, ''),
                                                coalesce(external_id, ''))
                                 ELSE coalesce(reference, external_id, '') END COLLATE \"C\" AS name
                     FROM pg_temp.incoming i
                 ) m
             ) n
         ) o ORDER BY id, line",
    )
    .bind(scope.wallet)
    .bind(scope.psp)
    .execute(&mut *conn)
    .await?;
    let known = sqlx::query(
        "DELETE FROM pg_temp.identified i USING statement_lines s
         WHERE s.ledger_id = $1 AND s.id = i.id",
    )
    .bind(scope.ledger_id)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    sqlx::query(
        "CREATE TEMP TABLE fresh ON COMMIT DROP AS
         SELECT id, false AS is_old, line, account, kind, reference, external_id, batch, currency,
                amount, fee, booked_at, NULL::text AS match, NULL::uuid AS transaction_id,
                NULL::timestamptz AS entry_at, NULL::text AS class, NULL::text AS detail,
                NULL::bigint AS expected_amount, NULL::text AS expected_currency,
                NULL::text AS subject_kind, NULL::uuid AS subject_id, NULL::integer AS owner,
                NULL::uuid AS fee_transaction_id
         FROM pg_temp.identified
         UNION ALL
         SELECT id, true, line, account, kind, reference, external_id, batch, currency, amount, fee,
                booked_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
         FROM statement_lines WHERE ledger_id = $1 AND wallet = $2 AND match IS NULL",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql("ANALYZE pg_temp.fresh").execute(conn).await?;
    Ok(i64::try_from(known).unwrap_or(i64::MAX))
}

/// Writes the lines with what became of them.
///
/// # Errors
/// Where the database fails.
pub async fn write(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO statement_lines (
             ledger_id, id, reconciliation_id, line, wallet, account, kind, reference, external_id,
             batch, currency, amount, fee, booked_at, match, transaction_id, fee_transaction_id)
         SELECT $1, id, $3, line, $2, account, kind, reference, external_id, batch, currency, amount,
                fee, booked_at, match, transaction_id, fee_transaction_id
         FROM pg_temp.fresh WHERE NOT is_old",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .bind(reconciliation)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE statement_lines s SET match = f.match, transaction_id = f.transaction_id,
                fee_transaction_id = f.fee_transaction_id
         FROM pg_temp.fresh f
         WHERE f.is_old AND f.match IS NOT NULL AND s.ledger_id = $1 AND s.id = f.id",
    )
    .bind(scope.ledger_id)
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
    Ok(())
}
