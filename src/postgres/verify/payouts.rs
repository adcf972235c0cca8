//! Payouts with all that they moved.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// A payout, and the entries of its transactions.
#[derive(Clone, Debug)]
pub struct PaidOut {
    /// Its id.
    pub id: Uuid,
    /// To whom.
    pub merchant: String,
    /// Currency code.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// The PSP's name.
    pub psp: String,
    /// What the PSP took, minor units.
    pub psp_fee: Option<i64>,
    /// How it stands.
    pub status: String,
    /// Each as `<step> <address> <currency> <amount>`, in no order.
    pub moved: Vec<String>,
}

/// The payouts behind an id, in order.
///
/// # Errors
/// Where the database fails.
pub async fn payouts_page(
    conn: &mut PgConnection,
    ledger_id: i32,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<PaidOut>> {
    sqlx::query(
        "SELECT p.id, p.merchant::text, p.currency::text, p.amount, p.psp, p.psp_fee, p.status,
                coalesce(m.moved, '{}') AS moved
         FROM (SELECT * FROM payouts WHERE ledger_id = $1 AND id > $2
               ORDER BY ledger_id, id LIMIT $3) p
         LEFT JOIN LATERAL (
             SELECT array_agg(concat_ws(' ', s.step, w.address, e.currency, e.amount)) AS moved
             FROM unnest(ARRAY['requested', 'succeeded', 'failed', 'returned', 'psp_fee',
                               'psp_fee_returned']) AS s (step)
             JOIN transactions t ON t.ledger_id = $1
                  AND t.idempotency_key = 'aegis:payout:' || p.id || ':' || s.step
             JOIN ledger_entries e ON e.ledger_id = $1 AND e.transaction_id = t.id
             JOIN wallets w ON w.ledger_id = $1 AND w.id = e.wallet_id
         ) m ON true
         ORDER BY p.id",
    )
    .bind(ledger_id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        Ok(PaidOut {
            id: row.try_get("id")?,
            merchant: row.try_get("merchant")?,
            currency: row.try_get("currency")?,
            amount: row.try_get("amount")?,
            psp: row.try_get("psp")?,
            psp_fee: row.try_get("psp_fee")?,
            status: row.try_get("status")?,
            moved: row.try_get("moved")?,
        })
    })
    .collect()
}
