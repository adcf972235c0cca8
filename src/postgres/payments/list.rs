//! Payments one after the other.

use sqlx::PgConnection;
use uuid::Uuid;

use super::row::{columns, payment_of};
use super::{Payment, PaymentStatus};
use crate::merchant::MerchantId;

/// Which payments.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this merchant only.
    pub merchant: Option<MerchantId>,
    /// That stand so only.
    pub status: Option<PaymentStatus>,
    /// Behind this one only.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

/// Payments in the order in which they were asked for.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &Filter,
) -> sqlx::Result<Vec<Payment>> {
    sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM payments p
          WHERE p.ledger_id = $1 AND p.id > $2 AND ($3::text IS NULL OR p.merchant = $3)
            AND ($4::text IS NULL OR p.status = $4)
          ORDER BY p.ledger_id, p.id LIMIT $5"
    ))
    .bind(ledger_id)
    .bind(filter.after.unwrap_or_default())
    .bind(filter.merchant.as_ref().map(MerchantId::as_str))
    .bind(filter.status.map(PaymentStatus::as_str))
    .bind(filter.limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(payment_of)
    .collect()
}
