//! Money that goes back: refunds and chargebacks, disputes, and what the PSP is to be asked for.

pub mod disputes;
pub mod lookups;
mod payment;
mod read;
mod row;

use sqlx::PgConnection;

use super::standing::came_to;
use super::storable;

pub use payment::{Standing, lacking, lock_wallets, standing, update_payment};
pub use read::{Filter, by_key, find, list, lock, next_due, of_payment};
pub use row::{Borne, Origin, Refund, RefundStatus, Resolution};

/// What a refund was asked for by.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The caller's key.
    pub key: &'a str,
    /// Of the request.
    pub hash: &'a [u8; 32],
}

/// Writes a new refund; `asked`: of one that was asked for here.
///
/// # Errors
/// Where the database fails; a unique violation where somebody was first with the key, or with the
/// PSP's id.
pub async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    refund: &Refund,
    asked: Option<Asked<'_>>,
) -> sqlx::Result<()> {
    let borne = &refund.borne;
    sqlx::query(
        "INSERT INTO refunds (
             ledger_id, id, payment_id, merchant, currency, origin, idempotency_key, request_hash,
             amount, fee_share, fee_returned, penalty, from_pending, from_available, from_owed,
             customer_note, psp, psp_id, psp_status, correlation_id, traceparent, requested_by,
             status, next_attempt_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $19, $20, $21, $22, $23, $24, $25, $25)",
    )
    .bind(ledger_id)
    .bind(refund.id)
    .bind(refund.payment_id)
    .bind(refund.merchant.as_str())
    .bind(refund.currency.code())
    .bind(refund.origin.as_str())
    .bind(asked.map(|asked| asked.key))
    .bind(asked.map(|asked| &asked.hash[..]))
    .bind(refund.amount)
    .bind(borne.fee_share)
    .bind(borne.fee_returned)
    .bind(borne.penalty)
    .bind(borne.from_pending)
    .bind(borne.from_available)
    .bind(borne.from_owed)
    .bind(refund.customer_note.as_deref().map(storable))
    .bind(&refund.psp)
    .bind(refund.psp_id.as_deref().map(storable))
    .bind(refund.psp_status.as_deref().map(storable))
    .bind(refund.correlation_id.as_deref())
    .bind(refund.traceparent.as_deref())
    .bind(storable(&refund.requested_by))
    .bind(refund.status.as_str())
    .bind(refund.next_attempt_at)
    .bind(refund.created_at)
    .execute(conn)
    .await?;
    came_to("aegis_refunds_total", refund.status.as_str(), 1);
    Ok(())
}

/// Writes how a locked refund stands now: whether it still stood as `before` said.
///
/// # Errors
/// Where the database fails.
pub async fn update(
    conn: &mut PgConnection,
    ledger_id: i32,
    before: RefundStatus,
    refund: &Refund,
) -> sqlx::Result<bool> {
    let resolution = refund.resolution.as_ref();
    let done = sqlx::query(
        "UPDATE refunds SET
             status = $4, psp_id = $5, psp_status = $6, sending_since = $7, doubtful_until = $8,
             not_known_at = $9, next_attempt_at = $10, attempts = $11, waits = $12,
             last_error = $13, resolved_by = $14, resolved_at = $15, reason = $16, updated_at = $17
         WHERE ledger_id = $1 AND id = $2 AND status = $3",
    )
    .bind(ledger_id)
    .bind(refund.id)
    .bind(before.as_str())
    .bind(refund.status.as_str())
    .bind(refund.psp_id.as_deref().map(storable))
    .bind(refund.psp_status.as_deref().map(storable))
    .bind(refund.sending_since)
    .bind(refund.doubtful_until)
    .bind(refund.not_known_at)
    .bind(refund.next_attempt_at)
    .bind(refund.attempts)
    .bind(refund.waits)
    .bind(refund.last_error.as_deref().map(storable))
    .bind(resolution.map(|resolution| storable(&resolution.by)))
    .bind(resolution.map(|resolution| resolution.at))
    .bind(resolution.map(|resolution| storable(&resolution.reason)))
    .bind(refund.updated_at)
    .execute(conn)
    .await?;
    if before != refund.status {
        came_to(
            "aegis_refunds_total",
            refund.status.as_str(),
            done.rows_affected(),
        );
    }
    Ok(done.rows_affected() == 1)
}
