//! What refunds change of their payment, and the wallets that they move.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::ledger::{Address, Currency, Wallet};
use crate::merchant::MerchantId;
use crate::postgres::payments::{Payment, PaymentStatus};
use crate::postgres::standing::came_to;

/// What the rows say of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What has gone back for good, minor units.
    pub returned: i64,
    /// Whether a dispute is open.
    pub disputed: bool,
}

/// What went back of a locked payment, and whether it is disputed.
///
/// # Errors
/// Where the database fails.
pub async fn standing(
    conn: &mut PgConnection,
    ledger_id: i32,
    payment_id: Uuid,
) -> sqlx::Result<Standing> {
    let row = sqlx::query(
        "SELECT
             (SELECT coalesce(sum(amount), 0)::bigint FROM refunds
              WHERE ledger_id = $1 AND payment_id = $2 AND status = 'succeeded') AS returned,
             EXISTS (SELECT FROM disputes
                     WHERE ledger_id = $1 AND payment_id = $2 AND status = 'open') AS disputed",
    )
    .bind(ledger_id)
    .bind(payment_id)
    .fetch_one(conn)
    .await?;
    Ok(Standing {
        returned: row.try_get("returned")?,
        disputed: row.try_get("disputed")?,
    })
}

/// Writes what went back of a locked payment: whether it still stood as `before` said.
///
/// # Errors
/// Where the database fails.
pub async fn update_payment(
    conn: &mut PgConnection,
    ledger_id: i32,
    before: PaymentStatus,
    payment: &Payment,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payments SET status = $4, refunded = $5, unsettled = $6, updated_at = $7
         WHERE ledger_id = $1 AND id = $2 AND status = $3",
    )
    .bind(ledger_id)
    .bind(payment.id)
    .bind(before.as_str())
    .bind(payment.status.as_str())
    .bind(payment.refunded)
    .bind(payment.unsettled)
    .bind(now)
    .execute(conn)
    .await?;
    if before != payment.status {
        came_to(
            "aegis_payments_total",
            payment.status.as_str(),
            done.rows_affected(),
        );
    }
    Ok(done.rows_affected() == 1)
}

/// Locks wallets of a currency, in order of their ids as every posting does.
///
/// # Errors
/// Where the database fails.
pub async fn lock_wallets(
    conn: &mut PgConnection,
    ledger_id: i32,
    addresses: &[Address],
    currency: Currency,
) -> sqlx::Result<Vec<Wallet>> {
    let addresses: Vec<&str> = addresses.iter().map(Address::as_str).collect();
    sqlx::query(
        "SELECT * FROM wallets WHERE ledger_id = $1 AND address = ANY($2) AND currency = $3
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(addresses)
    .bind(currency.code())
    .fetch_all(conn)
    .await?
    .iter()
    .map(crate::postgres::wallets::from_row)
    .collect()
}

/// What a merchant's payments lack in pending of which more went back than had come: 0 or more, minor
/// units.
///
/// # Errors
/// Where the database fails.
pub async fn lacking(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: &MerchantId,
    currency: Currency,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT coalesce(-sum(unsettled), 0)::bigint FROM payments
         WHERE ledger_id = $1 AND merchant = $2 AND currency = $3 AND unsettled < 0",
    )
    .bind(ledger_id)
    .bind(merchant.as_str())
    .bind(currency.code())
    .fetch_one(conn)
    .await
}
