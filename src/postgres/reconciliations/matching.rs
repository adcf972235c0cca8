//! Matches staged lines with the ledger's entries, as sets.
//!
//! The entries that may be meant are those of the statement's wallet that no line stands for yet.
//! What a step matches is out of the way of the next one:
//!
//! | step | line and entries |
//! |---|---|
//! | reference | the same reference, currency and amount, the first with the first |
//! | many | a line with the sum of all entries of its reference, or of a payout run's payouts |
//! | many | a PSP's settlement with all entries of its batch, before the fees of the batch's lines |
//! | day, near | nameless lines: the same currency and amount, the nearest of a week first |
//! | netted | lines of one reference that sum to nothing, as a transfer that failed |
//! | differs | the same reference with another amount or in another currency |
//! | duplicate | a line like one that was matched |

use sqlx::{PgConnection, Row};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{batches, near};

/// How much older than a statement an entry may be that one of its lines stands for.
pub(super) const ENTRIES_BEFORE: Duration = Duration::days(45);
/// From which distance between both sides' times on a line is late.
const LATE_DAYS: i32 = 3;

/// Keys of the fees that payments and payouts are booked with: no line has them for itself.
pub(super) const FEE_KEYS: [&str; 3] = [
    r"aegis:payment:%:psp\_fee",
    r"aegis:payout:%:psp\_fee",
    r"aegis:payout:%:psp\_fee\_returned",
];

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
pub(super) fn first_id(at: OffsetDateTime) -> Uuid {
    let millis = at.unix_timestamp_nanos().div_euclid(1_000_000).max(0);
    Uuid::from_u128(u128::try_from(millis).unwrap_or_default() << 80)
}

/// All lines, with the entry of their reference. It is written once: to match by an UPDATE would write
/// every line of a good statement again.
const REFERENCE: &str = "
    CREATE TEMP TABLE fresh ON COMMIT DROP AS
    WITH named AS (
        SELECT id, reference, currency, amount, row_number() OVER (
            PARTITION BY reference, currency, amount ORDER BY booked_at, id) AS place
        FROM pg_temp.lines WHERE reference IS NOT NULL
    ), booked AS (
        SELECT id, at, payment_id, psp_fee, step, reference, currency, amount, row_number() OVER (
            PARTITION BY reference, currency, amount ORDER BY id) AS place
        FROM pg_temp.booked WHERE reference IS NOT NULL
    ), matched AS (
        SELECT n.id AS line_id, b.* FROM named n JOIN booked b ON b.reference = n.reference
            AND b.currency = n.currency AND b.amount = -n.amount AND b.place = n.place
    )
    SELECT l.*, CASE WHEN m.id IS NOT NULL THEN 'reference' END AS match, m.id AS transaction_id,
           m.at AS entry_at, m.payment_id, m.psp_fee, m.step, NULL::text AS class, NULL::text AS detail,
           NULL::bigint AS expected_amount, NULL::text AS expected_currency,
           NULL::text AS subject_kind, NULL::uuid AS subject_id, NULL::integer AS owner,
           false AS fee_taken, false AS was_matched
    FROM pg_temp.lines l LEFT JOIN matched m ON m.line_id = l.id";

/// The entries that no line stands for yet.
const REST: &str = "
    CREATE TEMP TABLE entries ON COMMIT DROP AS
    SELECT b.id, b.reference, b.currency, b.amount, b.key, b.at FROM pg_temp.booked b
    WHERE NOT EXISTS (SELECT FROM pg_temp.fresh f WHERE f.transaction_id = b.id)";

/// The entries by each name that a line may call them by.
const NAMED: &str = "
    CREATE TEMP TABLE named ON COMMIT DROP AS
    SELECT id, reference AS name, currency, amount FROM pg_temp.entries
    WHERE reference IS NOT NULL
    UNION ALL
    SELECT e.id, p.run_key, e.currency, e.amount
    FROM pg_temp.entries e
    JOIN payouts p ON p.ledger_id = $1 AND p.reference = e.reference AND p.run_key IS NOT NULL
    WHERE e.amount > 0";

const MANY: &str = "
    CREATE TEMP TABLE many ON COMMIT DROP AS
    WITH sums AS (
        SELECT name, currency, sum(amount) AS amount FROM pg_temp.named
        GROUP BY name, currency HAVING count(*) > 1
    ), whole AS (
        SELECT DISTINCT ON (s.name, s.currency) f.id AS line_id, s.name, s.currency
        FROM pg_temp.fresh f
        JOIN sums s ON s.name = f.reference AND s.currency = f.currency AND s.amount = -f.amount
        WHERE f.match IS NULL ORDER BY s.name, s.currency, f.booked_at, f.id
    )
    SELECT DISTINCT ON (n.id) n.id AS transaction_id, w.line_id
    FROM whole w JOIN pg_temp.named n ON n.name = w.name AND n.currency = w.currency
    ORDER BY n.id, w.line_id";

/// Lines that stand for many entries.
pub(super) const ARE_MANY: &str = "
    UPDATE pg_temp.fresh f SET match = 'many', entry_at = e.at
    FROM pg_temp.many m JOIN pg_temp.entries e ON e.id = m.transaction_id
    WHERE f.id = m.line_id";

/// The many entries are no longer looked for.
pub(super) const MANY_ARE_TAKEN: &str = "
    DELETE FROM pg_temp.entries e USING pg_temp.many m WHERE m.transaction_id = e.id";

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
            || CASE WHEN f.fee <> 0
                    THEN format('; its fee of %s minor units is not booked', f.fee) ELSE '' END
    FROM lines l JOIN booked b ON b.reference = l.reference AND b.place = l.place
        AND sign(b.amount) = -sign(l.amount)
    WHERE f.id = l.id";

/// A sibling in the same file comes before in it; one of an earlier file was recorded. A line that was
/// not matched stands for no transaction, and so is no sibling of itself.
const DUPLICATE: &str = "
    UPDATE pg_temp.fresh f
    SET match = 'duplicate', class = 'duplicate', expected_amount = f.amount,
        expected_currency = f.currency,
        detail = 'the statement has the booking once more, the ledger has it once'
    WHERE f.match IS NULL AND f.reference IS NOT NULL AND f.owner IS NOT NULL
      AND ((f.reference, f.currency, f.amount) IN (
               SELECT o.reference, o.currency, o.amount FROM pg_temp.fresh o
               WHERE o.reference IS NOT NULL AND o.transaction_id IS NOT NULL)
        OR EXISTS (SELECT FROM statement_lines o
                   WHERE o.ledger_id = $1 AND o.wallet = $2 AND o.reference = f.reference
                     AND o.currency = f.currency AND o.amount = f.amount
                     AND o.transaction_id IS NOT NULL))";

const MISSING_HERE: &str = "
    UPDATE pg_temp.fresh f
    SET class = 'missing_here', detail = CASE
        WHEN f.owner IS NOT NULL THEN 'the statement has it booked, the ledger has no entry for it'
        ELSE 'the statement has it booked, and nothing here goes by its name or amount' END
        || CASE WHEN f.fee <> 0
                THEN format('; its fee of %s minor units is not booked', f.fee) ELSE '' END
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

/// Whether tables are joined by hashing or sorting both, or each row may be looked for in the other
/// one. Staged tables have no index, and what a step makes of them is hard to foresee: taken for a few
/// rows, each line would be held against each. Where a step looks for rows in tables of everybody, their
/// indexes are needed.
///
/// # Errors
/// Where the database fails.
pub(super) async fn hash_joins_only(conn: &mut PgConnection, only: bool) -> sqlx::Result<()> {
    run(
        conn,
        match only {
            true => "SET LOCAL enable_nestloop = off",
            false => "SET LOCAL enable_nestloop = on",
        },
    )
    .await
}

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
        sqlx::query_scalar("SELECT min(booked_at) FROM pg_temp.lines")
            .fetch_one(&mut *conn)
            .await?;
    let from = oldest.and_then(|oldest| oldest.checked_sub(ENTRIES_BEFORE));
    // Fees stand for no line of their own. What corrects a discrepancy stands for none on the wallet
    // whose statement that was found in; elsewhere it stands for what happened then. What was missing
    // there and corrected is gone: a line that comes for it after all is missing here.
    sqlx::query(
        "CREATE TEMP TABLE booked ON COMMIT DROP AS
         SELECT t.id, t.reference, e.currency, e.amount, t.idempotency_key AS key,
                coalesce(p.paid_at, d.occurred_at, t.effective_at) AS at, p.id AS payment_id,
                p.psp_fee, CASE WHEN t.idempotency_key LIKE 'aegis:payout:%'
                    THEN split_part(t.idempotency_key, ':', 4) END AS step
         FROM wallets w
         JOIN ledger_entries e ON e.ledger_id = w.ledger_id AND e.wallet_id = w.id
         JOIN transactions t ON t.ledger_id = w.ledger_id AND t.id = e.transaction_id
         LEFT JOIN payments p ON p.psp = $3 AND p.reference = t.reference
             AND p.ledger_id = w.ledger_id AND t.idempotency_key LIKE 'aegis:payment:%:succeeded'
         LEFT JOIN discrepancies d ON d.ledger_id = w.ledger_id AND d.transaction_id = t.id
         WHERE w.ledger_id = $1 AND w.address = $2 AND e.transaction_id >= $4
           AND t.idempotency_key NOT LIKE ALL ($5)
           AND t.idempotency_key NOT LIKE 'aegis:reconciliation:%'
           AND (d.id IS NULL OR d.wallet IS DISTINCT FROM $2)
           AND NOT EXISTS (SELECT FROM discrepancies r
                           WHERE r.ledger_id = $1 AND r.wallet = $2 AND r.class = 'missing_there'
                             AND r.subject_kind = 'transaction' AND r.subject_id = t.id
                             AND r.transaction_id IS NOT NULL)
           AND NOT EXISTS (SELECT FROM statement_lines s
                           WHERE s.ledger_id = $1 AND s.wallet = $2 AND s.transaction_id = t.id)
           AND NOT EXISTS (SELECT FROM statement_matches m
                           WHERE m.ledger_id = $1 AND m.wallet = $2 AND m.transaction_id = t.id)",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .bind(scope.psp)
    .bind(first_id(from.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
    .bind(&FEE_KEYS[..])
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql("ANALYZE pg_temp.lines; ANALYZE pg_temp.booked")
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
    hash_joins_only(conn, true).await?;
    run(conn, REFERENCE).await?;
    run(conn, REST).await?;
    hash_joins_only(conn, false).await?;
    sqlx::raw_sql(
        "DROP TABLE pg_temp.lines, pg_temp.booked; ANALYZE pg_temp.fresh; ANALYZE pg_temp.entries",
    )
    .execute(&mut *conn)
    .await?;
    find_owners(conn, scope).await?;
    sqlx::query(NAMED)
        .bind(scope.ledger_id)
        .execute(&mut *conn)
        .await?;
    hash_joins_only(conn, true).await?;
    for statement in [MANY, ARE_MANY, MANY_ARE_TAKEN] {
        run(conn, statement).await?;
    }
    hash_joins_only(conn, false).await?;
    batches::matched(conn, scope).await?;
    hash_joins_only(conn, true).await?;
    near::matched(conn).await?;
    sqlx::query(NETTED)
        .bind(scope.psp.is_some())
        .execute(&mut *conn)
        .await?;
    run(conn, DIFFERS).await?;
    put_aside(conn).await?;
    hash_joins_only(conn, false).await?;
    run(conn, "ANALYZE pg_temp.fresh").await?;
    sqlx::query(DUPLICATE)
        .bind(scope.ledger_id)
        .bind(scope.wallet)
        .execute(&mut *conn)
        .await?;
    run(conn, MISSING_HERE).await?;
    batches::name(conn).await?;
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
                count(*) FILTER (WHERE match NOT IN ('differs', 'duplicate') AND NOT was_matched)
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
