//! What has matured, and taking it.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::currency_of;

/// A period that can be settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// The merchant's day.
    pub period: Date,
}

/// The payments of a period that were made under one version of the terms. Minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The version.
    pub terms_version: i32,
    /// How many.
    pub payments: i64,
    /// What customers paid.
    pub gross: i64,
    /// Of it, the platform's.
    pub fee: i64,
    /// Of it, the merchant's.
    pub net: i64,
    /// What has gone back.
    pub refunded: i64,
    /// What is in pending.
    pub unsettled: i64,
    /// When the last of them matures, UTC.
    pub matures_at: OffsetDateTime,
}

macro_rules! sums {
    () => {
        "terms_version, count(*) AS payments, sum(amount)::bigint AS gross,
         sum(fee)::bigint AS fee, sum(net)::bigint AS net, sum(refunded)::bigint AS refunded,
         sum(unsettled)::bigint AS unsettled, max(matures_at) AS matures_at"
    };
}

fn part_of(row: &PgRow) -> sqlx::Result<Part> {
    Ok(Part {
        terms_version: row.try_get("terms_version")?,
        payments: row.try_get("payments")?,
        gross: row.try_get("gross")?,
        fee: row.try_get("fee")?,
        net: row.try_get("net")?,
        refunded: row.try_get("refunded")?,
        unsettled: row.try_get("unsettled")?,
        matures_at: row.try_get("matures_at")?,
    })
}

/// The periods of which every payment had matured at that time, and which wait, in order of
/// merchant, currency and period; those behind `after`, at most `limit`.
///
/// # Errors
/// Where the database fails.
pub async fn due(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: Option<&MerchantId>,
    at: OffsetDateTime,
    after: Option<&Due>,
    limit: i64,
) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query(
        "SELECT merchant::text, currency::text, period FROM payments
         WHERE ledger_id = $1 AND paid_at IS NOT NULL AND settlement_id IS NULL
           AND ($2::text IS NULL OR merchant = $2)
           AND ($6::date IS NULL OR (merchant, currency, period) > ($4, $5, $6))
         GROUP BY merchant, currency, period HAVING max(matures_at) <= $3
         ORDER BY merchant, currency, period LIMIT $7",
    )
    .bind(ledger_id)
    .bind(merchant.map(MerchantId::as_str))
    .bind(at)
    .bind(after.map(|due| due.merchant.as_str()))
    .bind(after.map(|due| due.currency.code()))
    .bind(after.map(|due| due.period))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let merchant: &str = row.try_get("merchant")?;
            Ok(Due {
                merchant: merchant
                    .parse()
                    .map_err(|_| unreadable("merchant", merchant))?,
                currency: currency_of(row.try_get("currency")?)?,
                period: row.try_get("period")?,
            })
        })
        .collect()
}

/// How much is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Periods that can be settled.
    pub periods: i64,
    /// Reserves whose time has come.
    pub reserves: i64,
}

/// How much was due at that time and waits.
///
/// # Errors
/// Where the database fails.
pub async fn waiting(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: Option<&MerchantId>,
    at: OffsetDateTime,
) -> sqlx::Result<Waiting> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM (
                     SELECT FROM payments
                     WHERE ledger_id = $1 AND paid_at IS NOT NULL AND settlement_id IS NULL
                       AND ($2::text IS NULL OR merchant = $2)
                     GROUP BY merchant, currency, period HAVING max(matures_at) <= $3) AS due
                ) AS periods,
                (SELECT count(*) FROM settlement_reserves
                 WHERE ledger_id = $1 AND released_at IS NULL AND due_at <= $3
                   AND ($2::text IS NULL OR merchant = $2)) AS reserves",
    )
    .bind(ledger_id)
    .bind(merchant.map(MerchantId::as_str))
    .bind(at)
    .fetch_one(conn)
    .await?;
    Ok(Waiting {
        periods: row.try_get("periods")?,
        reserves: row.try_get("reserves")?,
    })
}

/// What a period would bring, by version of the terms.
///
/// # Errors
/// Where the database fails.
pub async fn parts(conn: &mut PgConnection, ledger_id: i32, due: &Due) -> sqlx::Result<Vec<Part>> {
    sqlx::query(concat!(
        "SELECT ",
        sums!(),
        " FROM payments
         WHERE ledger_id = $1 AND merchant = $2 AND currency = $3 AND period = $4
           AND paid_at IS NOT NULL AND settlement_id IS NULL
         GROUP BY terms_version ORDER BY terms_version"
    ))
    .bind(ledger_id)
    .bind(due.merchant.as_str())
    .bind(due.currency.code())
    .bind(due.period)
    .fetch_all(conn)
    .await?
    .iter()
    .map(part_of)
    .collect()
}

/// Takes what payments of a period bring out of at most `limit` of them: they are of that settlement
/// from now on, and nothing of them is unsettled. What they brought, by version of the terms. Whoever
/// sends one of them back at the same time waits, and finds it settled.
///
/// # Errors
/// Where the database fails.
pub async fn sweep(
    conn: &mut PgConnection,
    ledger_id: i32,
    due: &Due,
    settlement_id: Uuid,
    now: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<Vec<Part>> {
    sqlx::query(concat!(
        "WITH taken AS (
             SELECT id, terms_version, amount, fee, net, refunded, unsettled, matures_at
             FROM payments
             WHERE ledger_id = $1 AND merchant = $2 AND currency = $3 AND period = $4
               AND paid_at IS NOT NULL AND settlement_id IS NULL
             LIMIT $7 FOR NO KEY UPDATE
         ), settled AS (
             UPDATE payments p SET settlement_id = $5, unsettled = 0, updated_at = $6
             FROM taken t WHERE p.ledger_id = $1 AND p.id = t.id
         )
         SELECT ",
        sums!(),
        " FROM taken GROUP BY terms_version ORDER BY terms_version"
    ))
    .bind(ledger_id)
    .bind(due.merchant.as_str())
    .bind(due.currency.code())
    .bind(due.period)
    .bind(settlement_id)
    .bind(now)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(part_of)
    .collect()
}
