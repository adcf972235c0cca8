//! Payments: the row says all that is known of one, and when the PSP is to be called for it next.

mod change;
mod due;
mod list;
mod row;

pub use change::{Success, conclude, fee_known, note, opened, succeed};
pub use due::{Claimed, claim_due, claim_one, postpone};
pub use list::{Filter, list};
pub use row::{NewRow, Payment, PaymentStatus};

use sqlx::PgConnection;
use time::Date;
use uuid::Uuid;

use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::standing::came_to;
use row::{columns, payment_of};

/// Writes a payment that is new. Its reference was taken before.
///
/// # Errors
/// Where the database fails; a violation of `payments_idempotency_key` where the key was used.
pub async fn insert(conn: &mut PgConnection, ledger_id: i32, new: &NewRow<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO payments (
             ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version, psp,
             reference, email, callback_url, metadata, correlation_id, traceparent, amount, fee,
             net, status, created_at, updated_at, next_attempt_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::json, $13, $14, $15, $16,
                 $17, 'created', $18, $18, $19)",
    )
    .bind(ledger_id)
    .bind(new.id)
    .bind(new.idempotency_key)
    .bind(&new.request_hash[..])
    .bind(new.merchant.as_str())
    .bind(new.currency.code())
    .bind(new.terms_version)
    .bind(new.psp)
    .bind(new.reference)
    .bind(new.email)
    .bind(new.callback_url)
    .bind(new.metadata)
    .bind(new.correlation_id)
    .bind(new.traceparent)
    .bind(new.amount)
    .bind(new.fee)
    .bind(new.net)
    .bind(new.created_at)
    .bind(new.next_attempt_at)
    .execute(conn)
    .await?;
    came_to("aegis_payments_total", PaymentStatus::Created.as_str(), 1);
    Ok(())
}

/// The payment of that id.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Payment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM payments p WHERE p.ledger_id = $1 AND p.id = $2"
    ))
    .bind(ledger_id)
    .bind(id)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(payment_of)
    .transpose()
}

/// The payment that was asked for under a key.
///
/// # Errors
/// Where the database fails.
pub async fn find_by_key(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
) -> sqlx::Result<Option<Payment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM payments p WHERE p.ledger_id = $1 AND p.idempotency_key = $2"
    ))
    .bind(ledger_id)
    .bind(key)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(payment_of)
    .transpose()
}

/// The payment that a PSP knows by a reference.
///
/// # Errors
/// Where the database fails.
pub async fn find_by_reference(
    conn: &mut PgConnection,
    ledger_id: i32,
    psp: &str,
    reference: &str,
) -> sqlx::Result<Option<Payment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM payments p WHERE p.ledger_id = $1 AND p.psp = $2 AND p.reference = $3"
    ))
    .bind(ledger_id)
    .bind(psp)
    .bind(super::indexable(reference))
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(payment_of)
    .transpose()
}

/// Payments as they stand, in order of their ids.
///
/// # Errors
/// Where the database fails.
pub async fn read(
    conn: &mut PgConnection,
    ledger_id: i32,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Payment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM payments p WHERE p.ledger_id = $1 AND p.id = ANY($2) ORDER BY p.ledger_id, p.id"
    ))
    .bind(ledger_id)
    .bind(ids)
    .fetch_all(conn)
    .await?
    .iter()
    .map(payment_of)
    .collect()
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Payment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        // ORDER BY fixes the lock order; without it two batches deadlock.
        " FROM payments p WHERE p.ledger_id = $1 AND p.id = ANY($2) ORDER BY p.ledger_id, p.id
          FOR NO KEY UPDATE"
    ))
    .bind(ledger_id)
    .bind(ids)
    .fetch_all(conn)
    .await?
    .iter()
    .map(payment_of)
    .collect()
}

/// Whether payments of a period were settled already. Asked under the settlement gate.
///
/// # Errors
/// Where the database fails.
pub async fn is_settled(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: &MerchantId,
    currency: Currency,
    period: Date,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM payments WHERE ledger_id = $1 AND merchant = $2 AND currency = $3
               AND period = $4 AND settlement_id IS NOT NULL)",
    )
    .bind(ledger_id)
    .bind(merchant.as_str())
    .bind(currency.code())
    .bind(period)
    .fetch_one(conn)
    .await
}
