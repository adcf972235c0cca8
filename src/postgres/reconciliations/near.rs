//! Nameless lines and the entries of their currency and amount, the nearest first.

use sqlx::PgConnection;

/// How many days apart a line and its entry may be.
const DAYS_MAX: i32 = 7;

const NAMELESS: &str = "
    CREATE TEMP TABLE nameless ON COMMIT DROP AS
    SELECT id, line, currency, amount, booked_at, NULL::uuid AS transaction_id,
           NULL::timestamptz AS entry_at, NULL::integer AS days
    FROM pg_temp.fresh f
    WHERE match IS NULL AND owner IS NULL AND kind IN ('settlement', 'top_up', 'fee', 'other')
      AND NOT EXISTS (SELECT FROM pg_temp.entries e WHERE e.reference = f.reference)";

/// Payments, payouts and refunds go by their names.
const CANDIDATES: &str = "
    CREATE TEMP TABLE candidates ON COMMIT DROP AS
    SELECT e.id, e.at, e.currency, e.amount FROM pg_temp.entries e
    WHERE e.key NOT LIKE 'aegis:payment:%' AND e.key NOT LIKE 'aegis:payout:%'
      AND e.key NOT LIKE 'aegis:refund:%'
      AND EXISTS (SELECT FROM pg_temp.nameless n
                  WHERE n.currency = e.currency AND n.amount = -e.amount)";

/// The entries of so many days after their lines, the first with the first.
const PAIR: &str = "
    WITH lines AS (
        SELECT id, currency, amount, booked_at::date AS day, row_number() OVER (
            PARTITION BY currency, amount, booked_at::date ORDER BY booked_at, line, id) AS place
        FROM pg_temp.nameless WHERE transaction_id IS NULL
    ), booked AS (
        SELECT id, at, currency, amount, at::date AS day, row_number() OVER (
            PARTITION BY currency, amount, at::date ORDER BY at, id) AS place
        FROM pg_temp.candidates
    ), pairs AS (
        SELECT l.id AS line_id, b.id AS transaction_id, b.at
        FROM lines l JOIN booked b ON b.currency = l.currency AND b.amount = -l.amount
            AND b.day = l.day + $1 AND b.place = l.place
    ), used AS (
        DELETE FROM pg_temp.candidates c USING pairs p WHERE c.id = p.transaction_id
    )
    UPDATE pg_temp.nameless n SET transaction_id = p.transaction_id, entry_at = p.at, days = $1
    FROM pairs p WHERE n.id = p.line_id";

/// Matches nameless lines: of the same day first, then of a day apart, and so on; of two as near, the
/// entry that comes before its line. What is far from any entry is in nobody's way.
///
/// # Errors
/// Where the database fails.
pub(super) async fn matched(conn: &mut PgConnection) -> sqlx::Result<()> {
    let mut lines = sqlx::query(NAMELESS)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    if lines == 0 {
        return Ok(());
    }
    let mut entries = sqlx::query(CANDIDATES)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    let apart = (1..=DAYS_MAX).flat_map(|days| [-days, days]);
    for days in std::iter::once(0).chain(apart) {
        if lines == 0 || entries == 0 {
            break;
        }
        let paired = sqlx::query(PAIR)
            .bind(days)
            .execute(&mut *conn)
            .await?
            .rows_affected();
        lines = lines.saturating_sub(paired);
        entries = entries.saturating_sub(paired);
    }
    sqlx::raw_sql(
        "UPDATE pg_temp.fresh f
         SET match = CASE n.days WHEN 0 THEN 'day' ELSE 'near' END,
             transaction_id = n.transaction_id, entry_at = n.entry_at
         FROM pg_temp.nameless n WHERE n.id = f.id AND n.transaction_id IS NOT NULL;
         DELETE FROM pg_temp.entries e USING pg_temp.nameless n WHERE n.transaction_id = e.id",
    )
    .execute(conn)
    .await?;
    Ok(())
}
