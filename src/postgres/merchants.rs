//! Merchants and their terms.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::unreadable;
use super::wallets::currency_of;
use crate::ledger::Currency;
use crate::merchant::{AgreedTerms, Merchant, MerchantId, MerchantStatus};
use crate::terms::Terms;

fn merchant_of(row: &PgRow) -> sqlx::Result<Merchant> {
    let (id, status): (&str, &str) = (row.try_get("id")?, row.try_get("status")?);
    Ok(Merchant {
        id: id.parse().map_err(|_| unreadable("merchant", id))?,
        name: row.try_get("name")?,
        status: MerchantStatus::from_name(status)
            .ok_or_else(|| unreadable("merchant status", status))?,
        created_at: row.try_get("created_at")?,
    })
}

fn terms_of(row: &PgRow) -> sqlx::Result<AgreedTerms> {
    let json: &str = row.try_get("terms")?;
    let terms = json
        .parse::<Terms>()
        .map_err(|_| unreadable("terms", json))?;
    Ok(AgreedTerms {
        currency: currency_of(row.try_get("currency")?)?,
        version: row.try_get("version")?,
        terms,
        made_at: row.try_get("made_at")?,
        made_by: row.try_get("made_by")?,
    })
}

/// Makes a merchant, or finds the one of that id: whether it was made now.
///
/// # Errors
/// Where the database fails.
pub async fn create(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
    name: &str,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO merchants (ledger_id, id, name, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4) ON CONFLICT ON CONSTRAINT merchants_pkey DO NOTHING",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .bind(name)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant of that id.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
) -> sqlx::Result<Option<Merchant>> {
    sqlx::query(
        "SELECT id::text, name, status, created_at FROM merchants WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(merchant_of)
    .transpose()
}

/// The merchant of that id, which stays as it is until the transaction ends: nobody freezes it, and
/// nobody agrees on other terms with it.
///
/// # Errors
/// Where the database fails.
pub async fn hold_still(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
) -> sqlx::Result<Option<Merchant>> {
    sqlx::query(
        "SELECT id::text, name, status, created_at FROM merchants
         WHERE ledger_id = $1 AND id = $2 FOR SHARE",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(merchant_of)
    .transpose()
}

/// The merchant of that id, for changing it or its terms: others wait until the transaction ends.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
) -> sqlx::Result<Option<Merchant>> {
    sqlx::query(
        "SELECT id::text, name, status, created_at FROM merchants
         WHERE ledger_id = $1 AND id = $2 FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(merchant_of)
    .transpose()
}

/// Merchants in order of their ids, those behind `after`.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    after: Option<&MerchantId>,
    limit: i64,
) -> sqlx::Result<Vec<Merchant>> {
    sqlx::query(
        "SELECT id::text, name, status, created_at FROM merchants
         WHERE ledger_id = $1 AND id > $2 ORDER BY ledger_id, id LIMIT $3",
    )
    .bind(ledger_id)
    .bind(after.map_or("", MerchantId::as_str))
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(merchant_of)
    .collect()
}

/// Freezes a merchant, or lets it go on.
///
/// # Errors
/// Where the database fails.
pub async fn set_status(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
    status: MerchantStatus,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE merchants SET status = $3, updated_at = $4 WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .bind(status.as_str())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the next version of a merchant's terms: its number. The merchant is locked.
///
/// # Errors
/// Where the database fails.
pub async fn agree(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
    made_by: &str,
    now: OffsetDateTime,
) -> sqlx::Result<i32> {
    sqlx::query_scalar(
        "INSERT INTO merchant_terms
             (ledger_id, merchant, currency, version, terms, made_at, made_by)
         SELECT $1, $2, $3, coalesce(max(version), 0) + 1, $4::text::json, $5, $6
         FROM merchant_terms WHERE ledger_id = $1 AND merchant = $2 AND currency = $3
         RETURNING version",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .bind(currency.code())
    .bind(terms.to_string())
    .bind(now)
    .bind(made_by)
    .fetch_one(conn)
    .await
}

/// The terms in force, one for each currency of the merchant, in order of currency.
///
/// # Errors
/// Where the database fails.
pub async fn terms_in_force(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
) -> sqlx::Result<Vec<AgreedTerms>> {
    sqlx::query(
        "SELECT DISTINCT ON (currency)
             currency::text, version, terms::text, made_at, made_by
         FROM merchant_terms WHERE ledger_id = $1 AND merchant = $2
         ORDER BY currency, version DESC",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .fetch_all(conn)
    .await?
    .iter()
    .map(terms_of)
    .collect()
}

/// The terms in force of each of these merchants, in order of currency.
///
/// # Errors
/// Where the database fails.
pub async fn terms_in_force_of(
    conn: &mut PgConnection,
    ledger_id: i32,
    ids: &[&MerchantId],
) -> sqlx::Result<HashMap<MerchantId, Vec<AgreedTerms>>> {
    let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let rows = sqlx::query(
        "SELECT DISTINCT ON (merchant, currency)
             merchant::text, currency::text, version, terms::text, made_at, made_by
         FROM merchant_terms WHERE ledger_id = $1 AND merchant = ANY($2)
         ORDER BY merchant, currency, version DESC",
    )
    .bind(ledger_id)
    .bind(names)
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<MerchantId, Vec<AgreedTerms>> = HashMap::new();
    for row in &rows {
        let merchant: &str = row.try_get("merchant")?;
        let id = merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?;
        all.entry(id).or_default().push(terms_of(row)?);
    }
    Ok(all)
}

/// The terms in force in a currency; `None` where the merchant has none.
///
/// # Errors
/// Where the database fails.
pub async fn terms_now(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
    currency: Currency,
) -> sqlx::Result<Option<AgreedTerms>> {
    sqlx::query(
        "SELECT currency::text, version, terms::text, made_at, made_by FROM merchant_terms
         WHERE ledger_id = $1 AND merchant = $2 AND currency = $3
         ORDER BY ledger_id, merchant, currency, version DESC LIMIT 1",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .bind(currency.code())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(terms_of)
    .transpose()
}

/// All versions of a merchant's terms in a currency, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn terms_history(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
    currency: Currency,
) -> sqlx::Result<Vec<AgreedTerms>> {
    sqlx::query(
        "SELECT currency::text, version, terms::text, made_at, made_by FROM merchant_terms
         WHERE ledger_id = $1 AND merchant = $2 AND currency = $3
         ORDER BY ledger_id, merchant, currency, version DESC",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .bind(currency.code())
    .fetch_all(conn)
    .await?
    .iter()
    .map(terms_of)
    .collect()
}

/// The terms of a version.
///
/// # Errors
/// Where the database fails, or there is no such version.
pub async fn terms_at(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: &MerchantId,
    currency: Currency,
    version: i32,
) -> sqlx::Result<AgreedTerms> {
    let row = sqlx::query(
        "SELECT currency::text, version, terms::text, made_at, made_by FROM merchant_terms
         WHERE ledger_id = $1 AND merchant = $2 AND currency = $3 AND version = $4",
    )
    .bind(ledger_id)
    .bind(id.as_str())
    .bind(currency.code())
    .bind(version)
    .fetch_one(conn)
    .await?;
    terms_of(&row)
}
