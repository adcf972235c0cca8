//! Matches staged lines with the ledger's entries, as sets.
//!
//! The entries that may be meant are those of the statement's wallet that no line stands for yet.
//! What a step matches is out of the way of the next one:
//!
//! | step | line and entries |
//! |---|---|
//! | reference | the same reference, currency and amount, the first with the first |
//! | many | a line with the sum of all entries of its reference, or of a payout run's payouts |
//! | day, near | nameless lines: the same currency and amount, of the same day, then within a week |
//! | netted | lines of one reference that sum to nothing, as a transfer that failed |
//! | differs | the same reference with another amount or in another currency |
//! | duplicate | a line like one that was matched |

use sqlx::{PgConnection, Row};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How much older than a statement an entry may be that one of its lines stands for.
const ENTRIES_BEFORE: Duration = Duration::days(45);
/// From which distance between both sides' times on a line is late.
const LATE_DAYS: i32 = 3;

/// Whose statement of what.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The ledger.
    pub ledger_id: i32,
    /// The statement's wallet.
    pub wallet: &'a str,
    /// The PSP; `None`: it is a bank's.
    pub psp: Option<&'a str>,
}

/// How many of the new lines and of those looked at again were matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New lines.
    pub new: i64,
    /// Matched, new or looked at again.
    pub matched: i64,
}

/// The first of the UUIDs of version 7 that may be made at a time.
fn first_id(at: OffsetDateTime) -> Uuid {
    let millis = at.unix_timestamp_nanos().div_euclid(1_000_000).max(0);
    Uuid::from_u128(u128::try_from(millis).unwrap_or_default() << 80)
}

const REFERENCE: &str = "
    WITH lines AS (
        SELECT id, reference, currency, amount, row_number() OVER (
            PARTITION BY reference, currency, amount ORDER BY booked_at, id) AS place
        FROM pg_temp.fresh WHERE reference IS NOT NULL
    ), booked AS (
        SELECT id, at, reference, currency, amount, row_number() OVER (
            PARTITION BY reference, currency, amount ORDER BY id) AS place
        FROM pg_temp.entries WHERE reference IS NOT NULL
    )
    UPDATE pg_temp.fresh f SET match = 'reference', transaction_id = b.id, entry_at = b.at
    FROM lines l JOIN booked b ON b.reference = l.reference AND b.currency = l.currency
        AND b.amount = -l.amount AND b.place = l.place
    WHERE f.id = l.id";

const MANY: &str = "
    CREATE TEMP TABLE many ON COMMIT DROP AS
    WITH named AS (
        SELECT id, reference AS name, currency, amount FROM pg_temp.entries
        WHERE reference IS NOT NULL
        UNION ALL
        SELECT e.id, p.run_key, e.currency, e.amount
        FROM pg_temp.entries e
        JOIN payouts p ON p.ledger_id = $1 AND p.reference = e.reference AND p.run_key IS NOT NULL
        WHERE e.amount > 0
    ), sums AS (
        SELECT name, currency, sum(amount) AS amount FROM named
        GROUP BY name, currency HAVING count(*) > 1
    ), whole AS (
        SELECT DISTINCT ON (s.name, s.currency) f.id AS line_id, s.name, s.currency
        FROM pg_temp.fresh f
        JOIN sums s ON s.name = f.reference AND s.currency = f.currency AND s.amount = -f.amount
        WHERE f.match IS NULL ORDER BY s.name, s.currency, f.booked_at, f.id
    )
    SELECT DISTINCT ON (n.id) n.id AS transaction_id, w.line_id
    FROM whole w JOIN named n ON n.name = w.name AND n.currency = w.currency
    ORDER BY n.id, w.line_id";

const NEAR: &str = "
    WITH lines AS (
        SELECT f.id, f.currency, f.amount, f.booked_at, row_number() OVER (
            PARTITION BY f.currency, f.amount, CASE WHEN $1 THEN f.booked_at::date END
            ORDER BY f.booked_at, f.line, f.id) AS place
        FROM pg_temp.fresh f
        WHERE f.match IS NULL AND f.owner IS NULL
          AND f.kind IN ('settlement', 'top_up', 'fee', 'other')
    ), booked AS (
        SELECT id, at, currency, amount, row_number() OVER (
            PARTITION BY currency, amount, CASE WHEN $1 THEN at::date END ORDER BY at, id) AS place
        FROM pg_temp.entries
        WHERE key NOT LIKE 'aegis:payment:%' AND key NOT LIKE 'aegis:payout:%'
          AND key NOT LIKE 'aegis:refund:%'
    )
    UPDATE pg_temp.fresh f
    SET match = CASE WHEN $1 THEN 'day' ELSE 'near' END, transaction_id = b.id, entry_at = b.at
    FROM lines l JOIN booked b ON b.currency = l.currency AND b.amount = -l.amount
        AND b.place = l.place
        AND CASE WHEN $1 THEN b.at::date = l.booked_at::date
                 ELSE abs(b.at::date - l.booked_at::date) <= 7 END
    WHERE f.id = l.id";

const NETTED: &str = "
    UPDATE pg_temp.fresh f SET match = 'netted'
    FROM (SELECT reference, currency FROM pg_temp.fresh
          WHERE match IS NULL AND reference IS NOT NULL
          GROUP BY reference, currency HAVING count(*) > 1 AND sum(amount) = 0) n
    WHERE $1 AND f.match IS NULL AND f.reference = n.reference AND f.currency = n.currency";

const DIFFERS: &str = "
    WITH lines AS (
        SELECT id, reference, amount, row_number() OVER (
            PARTITION BY reference, sign(amount) ORDER BY booked_at, id) AS place
        FROM pg_temp.fresh WHERE match IS NULL AND reference IS NOT NULL
    ), booked AS (
        SELECT id, at, reference, currency, amount, row_number() OVER (
            PARTITION BY reference, sign(amount) ORDER BY id) AS place
        FROM pg_temp.entries WHERE reference IS NOT NULL
    )
    UPDATE pg_temp.fresh f
    SET match = 'differs', transaction_id = b.id, entry_at = b.at,
        class = CASE WHEN b.currency = f.currency THEN 'amount' ELSE 'currency' END,
        expected_amount = -b.amount, expected_currency = b.currency,
        detail = format('the statement has %s %s minor units, the ledger has %s %s',
                        f.currency, f.amount, b.currency, -b.amount)
    FROM lines l JOIN booked b ON b.reference = l.reference AND b.place = l.place
        AND sign(b.amount) = -sign(l.amount)
    WHERE f.id = l.id";

/// A sibling in the same file comes before in it; one of an earlier file was recorded.
const DUPLICATE: &str = "
    UPDATE pg_temp.fresh f
    SET match = 'duplicate', class = 'duplicate', expected_amount = f.amount,
        expected_currency = f.currency,
        detail = 'the statement has the booking once more, the ledger has it once'
    WHERE f.match IS NULL AND f.reference IS NOT NULL AND f.owner IS NOT NULL
      AND (EXISTS (SELECT FROM pg_temp.fresh o
                   WHERE o.reference = f.reference AND o.currency = f.currency
                     AND o.amount = f.amount AND o.id <> f.id AND o.transaction_id IS NOT NULL)
        OR EXISTS (SELECT FROM statement_lines o
                   WHERE o.ledger_id = $1 AND o.wallet = $2 AND o.reference = f.reference
                     AND o.currency = f.currency AND o.amount = f.amount AND o.id <> f.id
                     AND o.transaction_id IS NOT NULL))";

const MISSING_HERE: &str = "
    UPDATE pg_temp.fresh f
    SET class = 'missing_here', detail = CASE
        WHEN f.owner IS NOT NULL THEN 'the statement has it booked, the ledger has no entry for it'
        ELSE 'the statement has it booked, and nothing here goes by its name or amount' END
    WHERE f.match IS NULL";

/// A payment that is not paid here, and that the other side has with another amount.
const UNPAID: &str = "
    UPDATE pg_temp.fresh f
    SET class = CASE WHEN p.currency = f.currency THEN 'amount' ELSE 'currency' END,
        expected_amount = p.amount, expected_currency = p.currency,
        detail = format('the statement has %s %s minor units, %s %s were asked for',
                        f.currency, f.amount, p.currency, p.amount)
    FROM payments p
    WHERE f.match IS NULL AND f.subject_kind = 'payment' AND f.kind = 'payment'
      AND p.ledger_id = $1 AND p.id = f.subject_id
      AND (p.amount <> f.amount OR p.currency <> f.currency)";

async fn run(conn: &mut PgConnection, statement: &'static str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(conn).await.map(|_| ())
}

/// What was matched is no longer looked for.
async fn put_aside(conn: &mut PgConnection) -> sqlx::Result<()> {
    run(
        conn,
        "DELETE FROM pg_temp.entries e USING pg_temp.fresh f WHERE f.transaction_id = e.id",
    )
    .await
}

async fn gather(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<()> {
    let oldest: Option<OffsetDateTime> =
        sqlx::query_scalar("SELECT min(booked_at) FROM pg_temp.fresh")
            .fetch_one(&mut *conn)
            .await?;
    let from = oldest.and_then(|oldest| oldest.checked_sub(ENTRIES_BEFORE));
    // What corrects a discrepancy, and fees, stand for no line of their own.
    sqlx::query(
        "CREATE TEMP TABLE entries ON COMMIT DROP AS
         SELECT t.id, t.reference, e.currency, e.amount, t.idempotency_key AS key,
                coalesce(p.paid_at, t.effective_at) AS at
         FROM wallets w
         JOIN ledger_entries e ON e.ledger_id = w.ledger_id AND e.wallet_id = w.id
         JOIN transactions t ON t.ledger_id = w.ledger_id AND t.id = e.transaction_id
         LEFT JOIN payments p ON p.psp = $3 AND p.reference = t.reference
             AND p.ledger_id = w.ledger_id AND t.idempotency_key LIKE 'aegis:payment:%:succeeded'
         WHERE w.ledger_id = $1 AND w.address = $2 AND e.transaction_id >= $4
           AND t.idempotency_key NOT LIKE 'aegis:%:psp_fee'
           AND t.idempotency_key NOT LIKE 'aegis:reconciliation:%'
           AND t.idempotency_key NOT LIKE 'aegis:discrepancy:%'
           AND NOT EXISTS (SELECT FROM statement_lines s
                           WHERE s.ledger_id = $1 AND s.wallet = $2 AND s.transaction_id = t.id)
           AND NOT EXISTS (SELECT FROM statement_matches m
                           WHERE m.ledger_id = $1 AND m.wallet = $2 AND m.transaction_id = t.id)",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .bind(scope.psp)
    .bind(first_id(from.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql("ANALYZE pg_temp.entries")
        .execute(conn)
        .await?;
    Ok(())
}

/// Says whose payment or payout each unmatched line is of.
async fn find_owners(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE pg_temp.fresh f
         SET owner = r.ledger_id, subject_kind = r.kind, subject_id = r.subject_id,
             match = CASE WHEN r.ledger_id <> $2 THEN 'elsewhere' END
         FROM psp_references r
         WHERE f.match IS NULL AND r.psp = $1 AND r.reference = f.reference",
    )
    .bind(scope.psp)
    .bind(scope.ledger_id)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Matches the staged lines.
///
/// # Errors
/// Where the database fails.
pub async fn matched(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<()> {
    gather(conn, scope).await?;
    run(conn, REFERENCE).await?;
    put_aside(conn).await?;
    find_owners(conn, scope).await?;
    sqlx::query(MANY)
        .bind(scope.ledger_id)
        .execute(&mut *conn)
        .await?;
    sqlx::raw_sql(
        "UPDATE pg_temp.fresh f SET match = 'many', entry_at = e.at
         FROM pg_temp.many m JOIN pg_temp.entries e ON e.id = m.transaction_id
         WHERE f.id = m.line_id;
         DELETE FROM pg_temp.entries e USING pg_temp.many m WHERE m.transaction_id = e.id",
    )
    .execute(&mut *conn)
    .await?;
    for of_one_day in [true, false] {
        sqlx::query(NEAR)
            .bind(of_one_day)
            .execute(&mut *conn)
            .await?;
        put_aside(conn).await?;
    }
    sqlx::query(NETTED)
        .bind(scope.psp.is_some())
        .execute(&mut *conn)
        .await?;
    run(conn, DIFFERS).await?;
    put_aside(conn).await?;
    sqlx::query(DUPLICATE)
        .bind(scope.ledger_id)
        .bind(scope.wallet)
        .execute(&mut *conn)
        .await?;
    run(conn, MISSING_HERE).await?;
    sqlx::query(UNPAID)
        .bind(scope.ledger_id)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE pg_temp.fresh f
         SET class = 'late', expected_amount = f.amount, expected_currency = f.currency,
             detail = format('booked there on %s, here on %s', f.booked_at::date, f.entry_at::date)
         WHERE f.class IS NULL AND f.match IN ('reference', 'many', 'near')
           AND abs(f.booked_at::date - f.entry_at::date) > $1",
    )
    .bind(LATE_DAYS)
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts what was matched.
///
/// # Errors
/// Where the database fails.
pub async fn tally(conn: &mut PgConnection) -> sqlx::Result<Tally> {
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE NOT is_old) AS new,
                count(*) FILTER (WHERE match IS NOT NULL AND match NOT IN ('differs', 'duplicate'))
                    AS matched
         FROM pg_temp.fresh",
    )
    .fetch_one(conn)
    .await?;
    Ok(Tally {
        new: row.try_get("new")?,
        matched: row.try_get("matched")?,
    })
}
