//! Payments that the PSP is to be called for.
//!
//! Whoever claims one puts its next attempt off, which is the lease: a process that dies during the
//! call loses nothing but that time.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::row::{columns, payment_of};
use super::{Payment, PaymentStatus};
use crate::ledger::Ledger;
use crate::postgres::{storable, unreadable};

/// A payment in this process's hands until its next attempt is due.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Where it belongs.
    pub ledger: Ledger,
    /// As it stands.
    pub payment: Payment,
}

/// Claims payments that are due, of whichever ledger, the longest due first.
///
/// # Errors
/// Where the database fails.
pub async fn claim_due(
    conn: &mut PgConnection,
    psp: &str,
    lease_until: OffsetDateTime,
    limit: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Claimed>> {
    let rows = sqlx::query(concat!(
        "WITH due AS (
             SELECT d.ledger_id, d.id FROM payments d
             WHERE d.next_attempt_at <= $1 AND d.psp = $2
             ORDER BY d.next_attempt_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
         UPDATE payments p SET next_attempt_at = $3
         FROM due JOIN ledgers l ON l.id = due.ledger_id
         WHERE p.ledger_id = due.ledger_id AND p.id = due.id
         RETURNING l.id AS of_ledger, l.name AS ledger_name, ",
        columns!()
    ))
    .bind(now)
    .bind(psp)
    .bind(lease_until)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let name: &str = row.try_get("ledger_name")?;
            let ledger = Ledger {
                id: row.try_get("of_ledger")?,
                name: name.parse().map_err(|_| unreadable("ledger", name))?,
            };
            let payment = payment_of(row)?;
            Ok(Claimed { ledger, payment })
        })
        .collect()
}

/// Claims one payment, if it is due.
///
/// # Errors
/// Where the database fails.
pub async fn claim_one(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    lease_until: OffsetDateTime,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Payment>> {
    sqlx::query(concat!(
        "UPDATE payments p SET next_attempt_at = $3
         WHERE p.ledger_id = $1 AND p.id = $2 AND p.next_attempt_at <= $4
         RETURNING ",
        columns!()
    ))
    .bind(ledger_id)
    .bind(id)
    .bind(lease_until)
    .bind(now)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(payment_of)
    .transpose()
}

/// Writes down when a payment that still stands as `status` is due next, and why.
///
/// # Errors
/// Where the database fails.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one thing that is written"
)]
pub async fn postpone(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
    status: PaymentStatus,
    attempts: u32,
    next_attempt_at: OffsetDateTime,
    last_error: Option<&str>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE payments SET attempts = $4, next_attempt_at = $5,
                last_error = coalesce($6, last_error), updated_at = $7
         WHERE ledger_id = $1 AND id = $2 AND status = $3",
    )
    .bind(ledger_id)
    .bind(id)
    .bind(status.as_str())
    .bind(i32::try_from(attempts).unwrap_or(i32::MAX))
    .bind(next_attempt_at)
    .bind(last_error.map(storable))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
