//! What settlements hold back for a while.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Reserve, Settlement};
use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::currency_of;

/// A reserve whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueReserve {
    /// What held it back.
    pub settlement_id: Uuid,
    /// Under which version of the terms.
    pub terms_version: i32,
    /// Whose it is.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// How much, minor units.
    pub amount: i64,
    /// When its time came, UTC.
    pub due_at: OffsetDateTime,
}

fn due_of(row: &PgRow) -> sqlx::Result<DueReserve> {
    let merchant: &str = row.try_get("merchant")?;
    Ok(DueReserve {
        settlement_id: row.try_get("settlement_id")?,
        terms_version: row.try_get("terms_version")?,
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(row.try_get("currency")?)?,
        amount: row.try_get("amount")?,
        due_at: row.try_get("due_at")?,
    })
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    settlement: &Settlement,
) -> sqlx::Result<()> {
    for reserve in &settlement.reserves {
        sqlx::query(
            "INSERT INTO settlement_reserves (
                 ledger_id, settlement_id, terms_version, merchant, currency, amount, due_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(ledger_id)
        .bind(settlement.id)
        .bind(reserve.terms_version)
        .bind(settlement.merchant.as_str())
        .bind(settlement.currency.code())
        .bind(reserve.amount)
        .bind(reserve.due_at)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub(super) async fn of(
    conn: &mut PgConnection,
    ledger_id: i32,
    settlements: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Vec<Reserve>>> {
    let rows = sqlx::query(
        "SELECT settlement_id, terms_version, amount, due_at, released_at, owed_repaid
         FROM settlement_reserves WHERE ledger_id = $1 AND settlement_id = ANY($2)
         ORDER BY settlement_id, terms_version",
    )
    .bind(ledger_id)
    .bind(settlements)
    .fetch_all(conn)
    .await?;
    let mut held: HashMap<Uuid, Vec<Reserve>> = HashMap::new();
    for row in &rows {
        let reserve = Reserve {
            terms_version: row.try_get("terms_version")?,
            amount: row.try_get("amount")?,
            due_at: row.try_get("due_at")?,
            released_at: row.try_get("released_at")?,
            owed_repaid: row.try_get("owed_repaid")?,
        };
        held.entry(row.try_get("settlement_id")?)
            .or_default()
            .push(reserve);
    }
    Ok(held)
}

/// Reserves whose time had come at that time, the oldest first; those behind `after`, at most
/// `limit`.
///
/// # Errors
/// Where the database fails.
pub async fn due_reserves(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: Option<&MerchantId>,
    at: OffsetDateTime,
    after: Option<&DueReserve>,
    limit: i64,
) -> sqlx::Result<Vec<DueReserve>> {
    sqlx::query(
        "SELECT settlement_id, terms_version, merchant::text, currency::text, amount, due_at
         FROM settlement_reserves
         WHERE ledger_id = $1 AND released_at IS NULL AND due_at <= $2
           AND ($3::text IS NULL OR merchant = $3)
           AND ($4::timestamptz IS NULL OR (due_at, settlement_id, terms_version) > ($4, $5, $6))
         ORDER BY due_at, settlement_id, terms_version LIMIT $7",
    )
    .bind(ledger_id)
    .bind(at)
    .bind(merchant.map(MerchantId::as_str))
    .bind(after.map(|reserve| reserve.due_at))
    .bind(after.map(|reserve| reserve.settlement_id))
    .bind(after.map(|reserve| reserve.terms_version))
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(due_of)
    .collect()
}

/// Locks a reserve that is to be released; `None`: it was.
///
/// # Errors
/// Where the database fails.
pub async fn reserve_for_release(
    conn: &mut PgConnection,
    ledger_id: i32,
    settlement_id: Uuid,
    terms_version: i32,
) -> sqlx::Result<Option<DueReserve>> {
    sqlx::query(
        "SELECT settlement_id, terms_version, merchant::text, currency::text, amount, due_at
         FROM settlement_reserves
         WHERE ledger_id = $1 AND settlement_id = $2 AND terms_version = $3
           AND released_at IS NULL
         FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(settlement_id)
    .bind(terms_version)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(due_of)
    .transpose()
}

/// Writes down that a reserve was released, and what of it paid back what the merchant owed.
///
/// # Errors
/// Where the database fails.
pub async fn release(
    conn: &mut PgConnection,
    ledger_id: i32,
    reserve: &DueReserve,
    owed_repaid: i64,
    transaction_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE settlement_reserves
         SET released_at = $4, owed_repaid = $5, transaction_id = $6
         WHERE ledger_id = $1 AND settlement_id = $2 AND terms_version = $3
           AND released_at IS NULL",
    )
    .bind(ledger_id)
    .bind(reserve.settlement_id)
    .bind(reserve.terms_version)
    .bind(now)
    .bind(owed_repaid)
    .bind(transaction_id)
    .execute(conn)
    .await?;
    Ok(())
}
