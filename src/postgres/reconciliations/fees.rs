//! What a PSP took for itself, where a statement is the first to say so.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::matching::Scope;

/// What was taken in a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
}

/// Writes the fees of matched payments and payouts to their rows, where none was known: their sums.
/// A fee that was known and is another one is a discrepancy of the line's amount.
///
/// # Errors
/// Where the database fails, or a sum is beyond 64 bits.
pub async fn take(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Fee>> {
    let Some(psp) = scope.psp else {
        return Ok(Vec::new());
    };
    for statement in [
        "CREATE TEMP TABLE fees ON COMMIT DROP AS
         WITH lines AS (SELECT id, reference, fee FROM pg_temp.fresh
                        WHERE match = 'reference' AND kind = 'payment' AND fee > 0)
         SELECT l.id, l.fee, p.psp_fee AS known, 'payment' AS kind, p.id AS subject_id
         FROM lines l JOIN payments p
             ON p.psp = $1 AND p.reference = l.reference AND p.ledger_id = $2",
        "INSERT INTO pg_temp.fees
         WITH lines AS (SELECT id, reference, fee FROM pg_temp.fresh
                        WHERE match = 'reference' AND kind = 'payout' AND fee > 0)
         SELECT l.id, l.fee, p.psp_fee, 'payout', p.id
         FROM lines l JOIN payouts p
             ON p.psp = $1 AND p.reference = l.reference AND p.ledger_id = $2",
    ] {
        sqlx::query(statement)
            .bind(psp)
            .bind(scope.ledger_id)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::raw_sql("ANALYZE pg_temp.fees")
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE pg_temp.fresh f
         SET class = 'amount', expected_amount = x.known, expected_currency = f.currency,
             detail = format('the statement has a fee of %s minor units, the ledger has %s',
                             f.fee, x.known)
         FROM pg_temp.fees x
         WHERE x.id = f.id AND x.known <> x.fee AND (f.class IS NULL OR f.class = 'late')",
    )
    .execute(&mut *conn)
    .await?;
    // One that was told by a webhook since it was read above is not taken again.
    let found = sqlx::query(
        "WITH paid AS (
             UPDATE payments p SET psp_fee = x.fee, updated_at = $2
             FROM pg_temp.fees x
             WHERE x.kind = 'payment' AND p.ledger_id = $1 AND p.id = x.subject_id
               AND p.psp_fee IS NULL
             RETURNING x.id
         ), paid_out AS (
             UPDATE payouts p SET psp_fee = x.fee, updated_at = $2
             FROM pg_temp.fees x
             WHERE x.kind = 'payout' AND p.ledger_id = $1 AND p.id = x.subject_id
               AND p.psp_fee IS NULL
             RETURNING x.id
         ), taken AS (
             UPDATE pg_temp.fresh f SET fee_transaction_id = f.id
             FROM (SELECT id FROM paid UNION ALL SELECT id FROM paid_out) t
             WHERE f.id = t.id
             RETURNING f.currency, f.fee
         )
         SELECT currency, sum(fee)::bigint AS amount FROM taken GROUP BY currency ORDER BY currency",
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

/// Says which transaction took the fees of a currency into the ledger.
///
/// # Errors
/// Where the database fails.
pub async fn taken(
    conn: &mut PgConnection,
    currency: &str,
    transaction_id: Uuid,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE pg_temp.fresh SET fee_transaction_id = $2
         WHERE fee_transaction_id IS NOT NULL AND currency = $1",
    )
    .bind(currency)
    .bind(transaction_id)
    .execute(conn)
    .await?;
    Ok(())
}
