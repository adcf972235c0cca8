//! What a PSP took for itself, where a statement is the first to say so.
//!
//! | a matched line is of | its fee is held against | where that is not known |
//! |---|---|---|
//! | a payment, a payout | its own | it becomes its own |
//! | a payout that came back | the payout's own, given back | a discrepancy |
//! | many payouts | the sum of theirs | a discrepancy |
//! | anything else | what a file before told of the line | it is taken as it is |
//!
//! What a line is of says the transaction that it is matched with, not what the file calls it. A line
//! without a fee says nothing of it: not every file has them.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::matching::Scope;

/// What was taken in a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units; below 0: given back.
    pub amount: i64,
}

/// A payout whose fee was not known.
#[derive(Clone, Copy, Debug)]
pub struct PayoutFee {
    /// The payout.
    pub payout_id: Uuid,
    /// Its line.
    pub line_id: Uuid,
    /// Minor units, more than 0.
    pub amount: i64,
}

/// Recorded lines whose fee this file tells otherwise than those before it, with all that is known of
/// what they stand for.
const RETOLD: &str = "
    INSERT INTO pg_temp.fresh (
        id, is_old, line, account, kind, reference, external_id, batch, currency, amount, fee,
        booked_at, match, transaction_id, payment_id, psp_fee, step, fee_taken,
        was_matched)
    SELECT s.id, true, s.line, s.account, s.kind, s.reference, s.external_id, s.batch, s.currency,
           s.amount, r.fee, s.booked_at, s.match, s.transaction_id, p.id, p.psp_fee,
           CASE WHEN t.idempotency_key LIKE 'aegis:payout:%'
                THEN split_part(t.idempotency_key, ':', 4) END, false, true
    FROM pg_temp.retold r
    JOIN statement_lines s ON s.ledger_id = $2 AND s.id = r.id AND s.match IS NOT NULL
    LEFT JOIN transactions t ON t.ledger_id = s.ledger_id AND t.id = s.transaction_id
    LEFT JOIN payments p ON p.psp = $1 AND p.reference = t.reference AND p.ledger_id = $2
        AND t.idempotency_key LIKE 'aegis:payment:%:succeeded'";

const FOUND: &str = "
    CREATE TEMP TABLE fees ON COMMIT DROP AS
    WITH told AS (
        SELECT f.id, f.match, f.reference, f.currency, f.fee, f.payment_id, f.psp_fee, f.step,
               r.former
        FROM pg_temp.fresh f LEFT JOIN pg_temp.retold r ON r.id = f.id AND f.was_matched
        WHERE f.fee <> 0 AND f.match IN ('reference', 'day', 'near', 'many', 'netted')
          AND (f.payment_id IS NULL OR f.psp_fee IS DISTINCT FROM f.fee)
    ), held AS (
        SELECT id, currency, fee, 'payment' AS of, payment_id AS subject_id, psp_fee AS known
        FROM told WHERE payment_id IS NOT NULL
        UNION ALL
        SELECT t.id, t.currency, t.fee,
               CASE t.step WHEN 'returned' THEN 'payout_return' ELSE 'payout' END, p.id,
               CASE t.step WHEN 'returned' THEN -coalesce(p.psp_fee, o.fee) ELSE p.psp_fee END
        FROM told t JOIN payouts p
            ON p.psp = $1 AND p.reference = t.reference AND p.ledger_id = $2
        LEFT JOIN (SELECT reference, max(fee) AS fee FROM pg_temp.fresh
                   WHERE step IS NOT NULL AND step <> 'returned' GROUP BY reference) o
            ON o.reference = t.reference
        WHERE t.step IS NOT NULL
        UNION ALL
        SELECT t.id, t.currency, t.fee, 'many', NULL, sum(p.psp_fee)::bigint
        FROM told t JOIN (
            SELECT line_id, transaction_id FROM pg_temp.many
            UNION
            SELECT m.line_id, m.transaction_id FROM pg_temp.retold r
            JOIN statement_matches m ON m.ledger_id = $2 AND m.line_id = r.id) m ON m.line_id = t.id
        JOIN transactions b ON b.ledger_id = $2 AND b.id = m.transaction_id
            AND b.idempotency_key LIKE 'aegis:payout:%'
        JOIN payouts p ON p.psp = $1 AND p.reference = b.reference AND p.ledger_id = $2
        WHERE t.match = 'many' GROUP BY t.id, t.currency, t.fee
    )
    SELECT h.*, h.of IN ('payment', 'payout') AND h.known IS NULL AND h.fee > 0 AS is_taken
    FROM held h WHERE h.known IS DISTINCT FROM h.fee
    UNION ALL
    SELECT id, currency, fee, 'line', NULL, former, former IS NULL FROM told t
    WHERE NOT EXISTS (SELECT FROM held h WHERE h.id = t.id)";

/// Finds the fees of matched lines that the ledger has not, and says so of their lines; one that was
/// known as another is a discrepancy of its line's amount. Locks nothing.
///
/// # Errors
/// Where the database fails, or a sum is beyond 64 bits.
pub async fn find(conn: &mut PgConnection, scope: &Scope<'_>) -> sqlx::Result<()> {
    let Some(psp) = scope.psp else {
        return Ok(());
    };
    for statement in [RETOLD, FOUND] {
        sqlx::query(statement)
            .bind(psp)
            .bind(scope.ledger_id)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::raw_sql(
        "ANALYZE pg_temp.fees;
         UPDATE pg_temp.fresh f SET fee_taken = true
         FROM pg_temp.fees x WHERE x.id = f.id AND x.is_taken;
         UPDATE pg_temp.fresh f
         SET class = 'amount', expected_amount = f.amount, expected_currency = f.currency,
             detail = format('the statement tells by now of a fee of %s minor units, which is not '
                             'booked', f.fee)
         WHERE f.was_matched AND f.match IN ('differs', 'duplicate', 'accepted');
         UPDATE pg_temp.fresh f
         SET class = 'amount', expected_amount = x.known, expected_currency = f.currency,
             detail = format('the statement has a fee of %s minor units, the ledger has %s', f.fee,
                             coalesce(x.known::text, 'none'))
         FROM pg_temp.fees x
         WHERE x.id = f.id AND NOT x.is_taken AND (f.class IS NULL OR f.class = 'late')",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the fees to their payments' rows, in the order of their ids, where none is known by now; and
/// sums them up with those of lines that are of no payment or payout.
///
/// # Errors
/// Where the database fails, or a sum is beyond 64 bits.
pub async fn take(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Fee>> {
    let found = sqlx::query(
        "WITH due AS MATERIALIZED (
             SELECT p.id, x.id AS line_id, x.fee, x.currency
             FROM payments p JOIN pg_temp.fees x ON x.of = 'payment' AND x.subject_id = p.id
             WHERE p.ledger_id = $1 AND x.is_taken AND p.psp_fee IS NULL
             ORDER BY p.id FOR NO KEY UPDATE OF p
         ), paid AS (
             UPDATE payments p SET psp_fee = d.fee, updated_at = $2
             FROM due d WHERE p.ledger_id = $1 AND p.id = d.id
         ), known AS (
             UPDATE statement_lines l SET fee_taken_by = NULL
             FROM pg_temp.fees x
             WHERE x.of = 'payment' AND x.is_taken AND l.ledger_id = $1 AND l.id = x.id
               AND NOT EXISTS (SELECT FROM due d WHERE d.line_id = x.id)
         )
         SELECT currency, sum(fee)::bigint AS amount FROM (
             SELECT currency, fee FROM due
             UNION ALL
             SELECT currency, fee FROM pg_temp.fees WHERE of = 'line' AND is_taken) f
         GROUP BY currency HAVING sum(fee) <> 0 ORDER BY currency",
    )
    .bind(scope.ledger_id)
    .bind(now)
    .fetch_all(conn)
    .await?;
    let fees = found.iter().map(|row| {
        Ok(Fee {
            currency: row.try_get("currency")?,
            amount: row.try_get("amount")?,
        })
    });
    fees.collect()
}

/// The payouts whose fees were found, in the order of their ids.
///
/// # Errors
/// Where the database fails.
pub async fn of_payouts(conn: &mut PgConnection) -> sqlx::Result<Vec<PayoutFee>> {
    let found = sqlx::query(
        "SELECT subject_id, id, fee FROM pg_temp.fees WHERE of = 'payout' AND is_taken
         ORDER BY subject_id",
    )
    .fetch_all(conn)
    .await?;
    let fees = found.iter().map(|row| {
        Ok(PayoutFee {
            payout_id: row.try_get("subject_id")?,
            line_id: row.try_get("id")?,
            amount: row.try_get("fee")?,
        })
    });
    fees.collect()
}

/// Says of a line that its fee was known by the time that it was to be taken.
///
/// # Errors
/// Where the database fails.
pub async fn was_known(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    line_id: Uuid,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE statement_lines SET fee_taken_by = NULL WHERE ledger_id = $1 AND id = $2")
        .bind(scope.ledger_id)
        .bind(line_id)
        .execute(conn)
        .await?;
    Ok(())
}
