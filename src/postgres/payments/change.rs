//! From one status to the next, by compare and set.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::PaymentStatus;
use crate::postgres::standing::came_to;
use crate::postgres::storable;

/// The PSP has opened a payment: whether it was waiting for that. One that was paid before our own
/// call came back only learns where its customer had been sent.
///
/// # Errors
/// Where the database fails.
pub async fn opened(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    checkout_url: Option<&str>,
    ask_at: OffsetDateTime,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let was_created: Option<bool> = sqlx::query_scalar(
        "WITH before AS (
             SELECT status = 'created' AS was_created FROM payments
             WHERE ledger_id = $1 AND id = $2 FOR NO KEY UPDATE)
         UPDATE payments SET
             checkout_url = coalesce(checkout_url, $3),
             status = CASE WHEN b.was_created THEN 'pending' ELSE status END,
             next_attempt_at = CASE WHEN b.was_created THEN $4 ELSE next_attempt_at END,
             attempts = CASE WHEN b.was_created THEN 0 ELSE attempts END,
             last_error = CASE WHEN b.was_created THEN NULL ELSE last_error END,
             updated_at = $5
         FROM before b WHERE ledger_id = $1 AND id = $2
         RETURNING b.was_created",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(checkout_url)
    .bind(ask_at)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    let is_pending = was_created.unwrap_or(false);
    came_to(
        "aegis_payments_total",
        PaymentStatus::Pending.as_str(),
        u64::from(is_pending),
    );
    Ok(is_pending)
}

/// A payment came to nothing: whether it still stood as `from`.
///
/// # Errors
/// Where the database fails.
pub async fn conclude(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    (from, to): (PaymentStatus, PaymentStatus),
    last_error: Option<&str>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payments SET status = $4, next_attempt_at = NULL,
                last_error = coalesce($5, last_error), updated_at = $6
         WHERE ledger_id = $1 AND id = $2 AND status = $3",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(last_error.map(storable))
    .bind(now)
    .execute(conn)
    .await?;
    came_to("aegis_payments_total", to.as_str(), done.rows_affected());
    Ok(done.rows_affected() == 1)
}

/// Writes down what went wrong without changing how the payment stands.
///
/// # Errors
/// Where the database fails.
pub async fn note(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    last_error: &str,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE payments SET last_error = $3, updated_at = $4 WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(storable(last_error))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The PSP's fee of a payment that was credited before it was known.
///
/// # Errors
/// Where the database fails.
pub async fn fee_known(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    psp_fee: i64,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE payments SET psp_fee = $3, updated_at = $4
         WHERE ledger_id = $1 AND id = $2 AND psp_fee IS NULL",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(psp_fee)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// A payment that was paid.
#[derive(Clone, Debug)]
pub struct Success {
    /// Which.
    pub id: Uuid,
    /// The PSP's own id.
    pub psp_id: String,
    /// What the PSP keeps, if it is known.
    pub psp_fee: Option<i64>,
    /// When the customer paid, UTC.
    pub paid_at: OffsetDateTime,
    /// The merchant's day that it counts for.
    pub period: Date,
    /// When it matures, UTC.
    pub matures_at: OffsetDateTime,
}

/// Payments were paid: how many had not been paid before. Their rows are locked, so it is all of
/// them; what they bring counts as unsettled from here on.
///
/// # Errors
/// Where the database fails.
pub async fn succeed(
    conn: &mut PgConnection,
    ledger_id: i32,
    paid: &[Success],
    now: OffsetDateTime,
) -> sqlx::Result<u64> {
    let ids: Vec<Uuid> = paid.iter().map(|p| p.id).collect();
    let psp_ids: Vec<&str> = paid.iter().map(|p| p.psp_id.as_str()).collect();
    let psp_fees: Vec<Option<i64>> = paid.iter().map(|p| p.psp_fee).collect();
    let paid_at: Vec<OffsetDateTime> = paid.iter().map(|p| p.paid_at).collect();
    let periods: Vec<Date> = paid.iter().map(|p| p.period).collect();
    let matures_at: Vec<OffsetDateTime> = paid.iter().map(|p| p.matures_at).collect();
    let done = sqlx::query(
        "UPDATE payments SET status = 'succeeded', psp_id = n.psp_id, psp_fee = n.psp_fee,
                paid_at = n.paid_at, period = n.period, matures_at = n.matures_at,
                unsettled = net, next_attempt_at = NULL, last_error = NULL, updated_at = $8
         FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::timestamptz[], $6::date[],
                     $7::timestamptz[])
              AS n (id, psp_id, psp_fee, paid_at, period, matures_at)
         WHERE payments.ledger_id = $1 AND payments.id = n.id
           AND status IN ('created', 'pending', 'failed', 'abandoned')",
    )
    .bind(ledger_id)
    .bind(ids)
    .bind(psp_ids)
    .bind(psp_fees)
    .bind(paid_at)
    .bind(periods)
    .bind(matures_at)
    .bind(now)
    .execute(conn)
    .await?;
    let status = PaymentStatus::Succeeded.as_str();
    came_to("aegis_payments_total", status, done.rows_affected());
    Ok(done.rows_affected())
}
