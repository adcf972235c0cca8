//! Payments whose refunds the PSP is to be asked for.
//!
//! Whoever takes one puts its next attempt off, which is the lease, and counts it. A wish begins the
//! count anew: one that was wished for in the meantime is not put back, and comes up by itself.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::postgres::{storable, unreadable};

/// One that is due.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Where the payment is.
    pub ledger: Ledger,
    /// Which payment.
    pub payment_id: Uuid,
    /// Waits since it was last wished for.
    pub waits: i32,
    /// When the lease ends, UTC.
    pub lease_until: OffsetDateTime,
}

/// Wishes for one, at that time or before.
///
/// # Errors
/// Where the database fails.
pub async fn wish(
    conn: &mut PgConnection,
    ledger_id: i32,
    payment_id: Uuid,
    psp: &str,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO refund_lookups (ledger_id, payment_id, psp, next_attempt_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT refund_lookups_pkey DO UPDATE SET
             next_attempt_at = least(refund_lookups.next_attempt_at, excluded.next_attempt_at),
             waits = 0",
    )
    .bind(ledger_id)
    .bind(payment_id)
    .bind(psp)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the one that has been due the longest and is in nobody else's hands.
///
/// # Errors
/// Where the database fails.
pub async fn take(
    conn: &mut PgConnection,
    psp: &str,
    lease_until: OffsetDateTime,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Lookup>> {
    let row = sqlx::query(
        "WITH due AS (
             SELECT d.ledger_id, d.payment_id FROM refund_lookups d
             WHERE d.next_attempt_at <= $1 AND d.psp = $2
             ORDER BY d.next_attempt_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
         UPDATE refund_lookups r SET next_attempt_at = $3, waits = r.waits + 1
         FROM due JOIN ledgers l ON l.id = due.ledger_id
         WHERE r.ledger_id = due.ledger_id AND r.payment_id = due.payment_id
         RETURNING l.id AS of_ledger, l.name AS ledger_name, r.payment_id, r.waits - 1 AS waits",
    )
    .bind(now)
    .bind(psp)
    .bind(lease_until)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let name: &str = row.try_get("ledger_name")?;
    Ok(Some(Lookup {
        ledger: Ledger {
            id: row.try_get("of_ledger")?,
            name: name.parse().map_err(|_| unreadable("ledger", name))?,
        },
        payment_id: row.try_get("payment_id")?,
        waits: row.try_get("waits")?,
        lease_until,
    }))
}

/// Writes down when one that was taken is due next, if at all; unless it was taken or wished for again
/// since.
///
/// # Errors
/// Where the database fails.
pub async fn put_back(
    conn: &mut PgConnection,
    lookup: &Lookup,
    next: Option<OffsetDateTime>,
    last_error: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE refund_lookups SET next_attempt_at = $4, last_error = $5,
                waits = CASE WHEN $4 IS NULL THEN 0 ELSE waits END
         WHERE ledger_id = $1 AND payment_id = $2 AND next_attempt_at = $3 AND waits = $6 + 1",
    )
    .bind(lookup.ledger.id)
    .bind(lookup.payment_id)
    .bind(lookup.lease_until)
    .bind(next)
    .bind(last_error.map(storable))
    .bind(lookup.waits)
    .execute(conn)
    .await?;
    Ok(())
}
