//! Finding and locking refunds.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::row::refund_of;
use super::{Refund, RefundStatus};
use crate::ledger::Ledger;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::hash_of;

/// The refund of that id.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Refund>> {
    let found = sqlx::query("SELECT * FROM refunds WHERE ledger_id = $1 AND id = $2")
        .bind(ledger_id)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    found.as_ref().map(refund_of).transpose()
}

/// The refund of that id, which nobody else changes until the transaction ends. Where its payment is
/// locked too, that comes first.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Refund>> {
    let found =
        sqlx::query("SELECT * FROM refunds WHERE ledger_id = $1 AND id = $2 FOR NO KEY UPDATE")
            .bind(ledger_id)
            .bind(id)
            .fetch_optional(conn)
            .await?;
    found.as_ref().map(refund_of).transpose()
}

/// The refund that a key stands for, and the hash of the request that it was asked for by.
///
/// # Errors
/// Where the database fails.
pub async fn by_key(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
) -> sqlx::Result<Option<(Refund, [u8; 32])>> {
    let found = sqlx::query(
        "SELECT *, request_hash::bytea AS hash FROM refunds
         WHERE ledger_id = $1 AND idempotency_key = $2",
    )
    .bind(ledger_id)
    .bind(key)
    .fetch_optional(conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let hash: &[u8] = row.try_get("hash")?;
    Ok(Some((refund_of(&row)?, hash_of(hash)?)))
}

/// All refunds and chargebacks of a locked payment, the oldest first, locked.
///
/// # Errors
/// Where the database fails.
pub async fn of_payment(
    conn: &mut PgConnection,
    ledger_id: i32,
    payment_id: Uuid,
) -> sqlx::Result<Vec<Refund>> {
    sqlx::query(
        "SELECT * FROM refunds WHERE ledger_id = $1 AND payment_id = $2
         ORDER BY ledger_id, payment_id, id FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(payment_id)
    .fetch_all(conn)
    .await?
    .iter()
    .map(refund_of)
    .collect()
}

/// Locks the refund of any ledger whose call has been due the longest, and that is in nobody else's
/// hands.
///
/// # Errors
/// Where the database fails.
pub async fn next_due(
    conn: &mut PgConnection,
    psp: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<(Ledger, Refund)>> {
    let found = sqlx::query(
        "SELECT r.*, l.name AS ledger_name FROM refunds r JOIN ledgers l ON l.id = r.ledger_id
         WHERE r.next_attempt_at <= $1 AND r.psp = $2
         ORDER BY r.next_attempt_at LIMIT 1 FOR NO KEY UPDATE OF r SKIP LOCKED",
    )
    .bind(now)
    .bind(psp)
    .fetch_optional(conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let name: &str = row.try_get("ledger_name")?;
    let ledger = Ledger {
        id: row.try_get("ledger_id")?,
        name: name.parse().map_err(|_| unreadable("ledger", name))?,
    };
    Ok(Some((ledger, refund_of(&row)?)))
}

/// Which refunds to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this payment.
    pub payment: Option<Uuid>,
    /// Of this merchant.
    pub merchant: Option<MerchantId>,
    /// That stand so.
    pub status: Option<RefundStatus>,
    /// Only those older than this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

/// Refunds and chargebacks, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &Filter,
) -> sqlx::Result<Vec<Refund>> {
    sqlx::query(
        "SELECT * FROM refunds
         WHERE ledger_id = $1 AND ($2::uuid IS NULL OR payment_id = $2)
           AND ($3::text IS NULL OR merchant = $3) AND ($4::text IS NULL OR status = $4)
           AND ($5::uuid IS NULL OR id < $5)
         ORDER BY ledger_id DESC, id DESC LIMIT $6",
    )
    .bind(ledger_id)
    .bind(filter.payment)
    .bind(filter.merchant.as_ref().map(MerchantId::as_str))
    .bind(filter.status.map(RefundStatus::as_str))
    .bind(filter.before)
    .bind(filter.limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(refund_of)
    .collect()
}
