//! Settlements as they stand.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Reserve, Settlement, reserves};
use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::currency_of;

/// Which settlements to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this merchant's.
    pub merchant: Option<MerchantId>,
    /// Only in this currency.
    pub currency: Option<Currency>,
    /// Only those that were made before this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

fn from_row(row: &PgRow, reserves: Vec<Reserve>) -> sqlx::Result<Settlement> {
    let merchant: &str = row.try_get("merchant")?;
    Ok(Settlement {
        id: row.try_get("id")?,
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(row.try_get("currency")?)?,
        period: row.try_get("period")?,
        matured_at: row.try_get("matured_at")?,
        payments: row.try_get("payments")?,
        gross: row.try_get("gross")?,
        fee: row.try_get("fee")?,
        net: row.try_get("net")?,
        refunded: row.try_get("refunded")?,
        amount: row.try_get("amount")?,
        owed_repaid: row.try_get("owed_repaid")?,
        reserved: row.try_get("reserved")?,
        released: row.try_get("released")?,
        transaction_id: row.try_get("transaction_id")?,
        settled_at: row.try_get("settled_at")?,
        settled_by: row.try_get("settled_by")?,
        reserves,
    })
}

async fn with_reserves(
    conn: &mut PgConnection,
    ledger_id: i32,
    rows: &[PgRow],
) -> sqlx::Result<Vec<Settlement>> {
    let ids = rows.iter().map(|row| row.try_get("id"));
    let ids: Vec<Uuid> = ids.collect::<sqlx::Result<_>>()?;
    let mut held: HashMap<Uuid, Vec<Reserve>> = reserves::of(conn, ledger_id, &ids).await?;
    let each = rows.iter().zip(&ids);
    each.map(|(row, id)| from_row(row, held.remove(id).unwrap_or_default()))
        .collect()
}

/// The settlement of that id.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Settlement>> {
    let rows = sqlx::query(
        "SELECT *, merchant::text AS merchant, currency::text AS currency FROM settlements
         WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger_id)
    .bind(id)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = with_reserves(conn, ledger_id, &rows).await?;
    Ok(found.pop())
}

/// Settlements, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &Filter,
) -> sqlx::Result<Vec<Settlement>> {
    let rows = sqlx::query(
        "SELECT *, merchant::text AS merchant, currency::text AS currency FROM settlements
         WHERE ledger_id = $1 AND ($2::text IS NULL OR merchant = $2)
           AND ($3::text IS NULL OR currency = $3) AND ($4::uuid IS NULL OR id < $4)
         ORDER BY ledger_id DESC, id DESC LIMIT $5",
    )
    .bind(ledger_id)
    .bind(filter.merchant.as_ref().map(MerchantId::as_str))
    .bind(filter.currency.map(Currency::code))
    .bind(filter.before)
    .bind(filter.limit)
    .fetch_all(&mut *conn)
    .await?;
    with_reserves(conn, ledger_id, &rows).await
}
