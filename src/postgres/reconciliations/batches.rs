//! A PSP's payouts to the bank, and the lines that each of them pays out.
//!
//! A settlement goes by its `batch`, or else by its reference; its lines are those that bear that
//! batch. All of them together, each less its fee, sum to nothing.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::findings::{CLOSER, opening};
use super::matching::{ARE_MANY, MANY_ARE_TAKEN, Scope, hash_joins_only};

/// What a finding about a batch is about; its id is that of the settlement's line.
const SUBJECT: &str = "batch";

/// The settlements of batches that one of these lines is new of, and where they have no entry yet: new
/// and recorded.
const PAYING: &str = "
    CREATE TEMP TABLE paying ON COMMIT DROP AS
    WITH named AS (
        SELECT coalesce(batch, reference) AS name FROM pg_temp.fresh WHERE kind = 'settlement'
        UNION
        SELECT batch FROM pg_temp.fresh WHERE batch IS NOT NULL AND NOT is_old
        UNION
        SELECT batch FROM pg_temp.told
    )
    SELECT f.id, n.name, f.reference, f.currency, f.amount, f.fee, f.booked_at
    FROM pg_temp.fresh f JOIN named n ON n.name = coalesce(f.batch, f.reference)
    WHERE f.kind = 'settlement'
    UNION
    SELECT s.id, n.name, s.reference, s.currency, s.amount, s.fee, s.booked_at
    FROM named n JOIN statement_lines s ON s.ledger_id = $1 AND s.wallet = $2
        AND s.batch = n.name
    WHERE s.kind = 'settlement'
    UNION
    SELECT s.id, n.name, s.reference, s.currency, s.amount, s.fee, s.booked_at
    FROM named n JOIN statement_lines s ON s.ledger_id = $1 AND s.wallet = $2
        AND s.reference = n.name
    WHERE s.kind = 'settlement' AND s.batch IS NULL";

/// What each batch pays. Of one that is paid in several parts the last one bears what is amiss.
const PAID: &str = "
    CREATE TEMP TABLE paid ON COMMIT DROP AS
    SELECT name, currency, sum(amount::numeric - fee) AS net,
           (array_agg(id ORDER BY booked_at DESC, id DESC))[1] AS line_id
    FROM pg_temp.paying GROUP BY name, currency";

/// What the lines of each batch sum to, new and recorded.
const SUMS: &str = "
    CREATE TEMP TABLE sums ON COMMIT DROP AS
    WITH members AS (
        SELECT p.name, p.currency, f.amount, f.fee
        FROM pg_temp.paid p JOIN pg_temp.fresh f ON f.batch = p.name AND f.currency = p.currency
        WHERE f.kind <> 'settlement' AND NOT f.is_old
        UNION ALL
        SELECT p.name, p.currency, s.amount, s.fee
        FROM pg_temp.paid p JOIN statement_lines s ON s.ledger_id = $1 AND s.wallet = $2
            AND s.batch = p.name AND s.currency = p.currency
        WHERE s.kind <> 'settlement'
    )
    SELECT name, currency, count(*) AS members, sum(amount) AS gross, sum(fee) AS fees
    FROM members GROUP BY name, currency";

/// Each settlement with its batch's sums. `total` is what the batch's lines don't sum to.
const BATCHES: &str = "
    CREATE TEMP TABLE batches ON COMMIT DROP AS
    SELECT l.id AS line_id, l.name, l.reference, l.currency, l.amount, l.booked_at,
           l.id = p.line_id AS is_last, s.members, s.gross, s.fees, p.net + s.gross - s.fees AS total,
           l.amount - (p.net + s.gross - s.fees) AS expected,
           format('it pays out batch %s: %s lines, %s minor units, less fees of %s', l.name,
                  s.members, s.gross, s.fees) AS words
    FROM pg_temp.paying l JOIN pg_temp.paid p ON p.name = l.name AND p.currency = l.currency
    JOIN pg_temp.sums s ON s.name = l.name AND s.currency = l.currency";

/// Several entries that bear the batch's name, before the fees of its lines.
const GROSS: &str = "
    WITH sums AS (
        SELECT e.reference AS name, e.currency, sum(e.amount) AS amount FROM pg_temp.entries e
        WHERE e.reference IN (SELECT name FROM pg_temp.batches)
        GROUP BY e.reference, e.currency HAVING count(*) > 1
    ), whole AS (
        SELECT DISTINCT ON (b.name, b.currency) b.line_id, b.name, b.currency
        FROM pg_temp.batches b
        JOIN pg_temp.fresh f ON f.id = b.line_id AND f.match IS NULL
        JOIN sums s ON s.name = b.name AND s.currency = b.currency
            AND s.amount - b.fees = -b.amount AND b.fees <> 0
        ORDER BY b.name, b.currency, b.booked_at, b.line_id
    )
    INSERT INTO pg_temp.many (transaction_id, line_id)
    SELECT e.id, w.line_id FROM whole w
    JOIN pg_temp.entries e ON e.reference = w.name AND e.currency = w.currency";

/// The fees of lines that are matched are booked to the wallet besides: the entries before fees are too
/// much.
const GROSS_AND_FEES: &str = "
    UPDATE pg_temp.fresh f
    SET class = 'amount', expected_amount = f.amount - b.fees, expected_currency = f.currency,
        detail = b.words || format('; the ledger has entries of %s minor units for it, and fees besides',
                                   f.amount - b.fees)
    FROM pg_temp.batches b JOIN (
        SELECT m.line_id, -sum(e.amount) AS amount FROM pg_temp.many m
        JOIN pg_temp.entries e ON e.id = m.transaction_id GROUP BY m.line_id) g
        ON g.line_id = b.line_id
    WHERE f.id = b.line_id AND f.match = 'many' AND b.fees <> 0 AND f.amount - b.fees = g.amount
      AND ((b.name, b.currency) IN (
              SELECT l.batch, l.currency FROM pg_temp.fresh l
              WHERE l.batch IS NOT NULL AND NOT l.is_old AND l.fee <> 0
                AND l.transaction_id IS NOT NULL)
        OR EXISTS (SELECT FROM statement_lines l
                   WHERE l.ledger_id = $1 AND l.wallet = $2 AND l.batch = b.name
                     AND l.currency = b.currency AND l.fee <> 0
                     AND l.transaction_id IS NOT NULL))";

/// Sums the batches up, and matches settlements that stand for several entries before fees.
///
/// # Errors
/// Where the database fails.
pub(super) async fn matched(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<()> {
    sqlx::query(PAYING)
        .bind(scope.ledger_id)
        .bind(scope.wallet)
        .execute(&mut *conn)
        .await?;
    sqlx::query(PAID).execute(&mut *conn).await?;
    sqlx::query(SUMS)
        .bind(scope.ledger_id)
        .bind(scope.wallet)
        .execute(&mut *conn)
        .await?;
    hash_joins_only(conn, true).await?;
    sqlx::query(BATCHES).execute(&mut *conn).await?;
    let stood_for = sqlx::query(GROSS).execute(&mut *conn).await?;
    if stood_for.rows_affected() > 0 {
        sqlx::raw_sql(ARE_MANY).execute(&mut *conn).await?;
        sqlx::query(GROSS_AND_FEES)
            .bind(scope.ledger_id)
            .bind(scope.wallet)
            .execute(&mut *conn)
            .await?;
        sqlx::raw_sql(MANY_ARE_TAKEN).execute(&mut *conn).await?;
    }
    hash_joins_only(conn, false).await
}

/// Says of a settlement that the ledger has no entry for what it pays out.
///
/// # Errors
/// Where the database fails.
pub(super) async fn name(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "UPDATE pg_temp.fresh f SET detail = b.words || '; the ledger has no entry for it'
         FROM pg_temp.batches b
         WHERE f.id = b.line_id AND f.class = 'missing_here' AND b.total = 0",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Closes what was found about batches and is no longer so, and writes down which settlements pay
/// out another amount than their lines sum to, whether or not the ledger has an entry for them.
///
/// # Errors
/// Where the database fails.
pub(super) async fn open(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE discrepancies d
         SET status = 'resolved', resolved_by = $3, resolved_at = $4, reason = CASE b.total
             WHEN 0 THEN 'its batch sums to it by now' ELSE 'its batch sums to another amount by now' END
         FROM pg_temp.batches b
         WHERE d.ledger_id = $1 AND d.line_id = b.line_id AND d.subject_kind = $2
           AND d.status <> 'resolved'
           AND (b.total = 0 OR NOT b.is_last OR d.expected_amount <> b.expected)",
    )
    .bind(scope.ledger_id)
    .bind(SUBJECT)
    .bind(CLOSER)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    // Beyond 64 bits nothing can be said of it.
    opening(
        scope,
        reconciliation,
        now,
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, psp, reference, subject_kind, subject_id,
             expected_amount, expected_currency, found_amount, found_currency, detail, occurred_at,
             opened_at, wallet, line_id, reconciliation_id)
         SELECT $1, discrepancy_fingerprint('amount', 'reconciliation',
                    'batch:' || line_id || ' ' || members || ' ' || total),
                'amount', 'reconciliation', $3, reference, $6, line_id, expected::bigint, currency,
                amount, currency,
                words || format('; that would be %s, and it is %s', expected, amount), booked_at, $4,
                $2, line_id, $5
         FROM pg_temp.batches
         WHERE is_last AND total <> 0
           AND expected BETWEEN -9223372036854775808 AND 9223372036854775807
           AND NOT EXISTS (SELECT FROM discrepancies d
                           WHERE d.ledger_id = $1 AND d.line_id = batches.line_id
                             AND d.subject_kind = $6 AND d.status <> 'resolved')
         ORDER BY booked_at, line_id
         ON CONFLICT ON CONSTRAINT discrepancies_fingerprint_key DO NOTHING",
    )
    .bind(SUBJECT)
    .execute(conn)
    .await?;
    Ok(())
}
