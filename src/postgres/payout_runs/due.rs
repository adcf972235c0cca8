//! Who may be due a payout: what the rules of `payout_runs` decide on.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::{Date, OffsetDateTime};

use crate::ledger::Currency;
use crate::merchant::{MerchantId, MerchantStatus};
use crate::postgres::unreadable;
use crate::postgres::wallets::currency_of;
use crate::terms::Terms;

/// A merchant in one of its currencies.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Who.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// Whether it is paid out at all.
    pub status: MerchantStatus,
    /// Since when it is known, UTC.
    pub created_at: OffsetDateTime,
    /// The terms in force.
    pub terms: Terms,
    /// What lies in its wallet and is not held, minor units.
    pub available: i64,
    /// Whether that wallet may be debited.
    pub wallet_is_active: bool,
    /// The last day of its schedule that was paid, or is being paid.
    pub paid_to: Option<Date>,
    /// Another run that has an item for it which was not requested yet.
    pub in_run: Option<String>,
}

fn candidate_of(row: &PgRow) -> sqlx::Result<Candidate> {
    let (merchant, status): (&str, &str) = (row.try_get("merchant")?, row.try_get("status")?);
    let terms: &str = row.try_get("terms")?;
    Ok(Candidate {
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(row.try_get("currency")?)?,
        status: MerchantStatus::from_name(status)
            .ok_or_else(|| unreadable("merchant status", status))?,
        created_at: row.try_get("created_at")?,
        terms: terms.parse().map_err(|_| unreadable("terms", terms))?,
        available: row.try_get("available")?,
        wallet_is_active: row.try_get("wallet_is_active")?,
        paid_to: row.try_get("paid_to")?,
        in_run: row.try_get("in_run")?,
    })
}

/// Every merchant of a ledger, or those that are named, in every currency that it has terms in, or
/// in one: in order of merchant and currency.
///
/// # Errors
/// Where the database fails.
pub async fn candidates(
    conn: &mut PgConnection,
    ledger_id: i32,
    currency: Option<Currency>,
    merchants: Option<&[&str]>,
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query(
        "SELECT m.id::text AS merchant, t.currency::text AS currency, m.status, m.created_at,
                t.terms::text AS terms, w.balance - w.held AS available,
                w.status = 'active' AS wallet_is_active, paid.paid_to, open.in_run
         FROM (
             SELECT DISTINCT ON (merchant, currency) merchant, currency, terms
             FROM merchant_terms
             WHERE ledger_id = $1 AND ($2::text IS NULL OR currency = $2)
               AND ($3::text[] IS NULL OR merchant = ANY($3))
             ORDER BY merchant, currency, version DESC
         ) t
         JOIN merchants m ON m.ledger_id = $1 AND m.id = t.merchant
         JOIN wallets w ON w.ledger_id = $1 AND w.currency = t.currency
             AND w.address = 'merchant:' || m.id || ':available'
         CROSS JOIN LATERAL (
             SELECT max(i.due_on) AS paid_to
             FROM payout_run_items i
             JOIN payout_runs r ON r.ledger_id = i.ledger_id AND r.key = i.run_key
             JOIN payouts p ON p.ledger_id = i.ledger_id AND p.id = i.payout_id
             WHERE i.ledger_id = $1 AND i.merchant = m.id AND r.currency = t.currency
               AND i.status = 'requested' AND p.status NOT IN ('failed', 'returned')
         ) paid
         CROSS JOIN LATERAL (
             SELECT min(r.key::text) AS in_run
             FROM payout_run_items i
             JOIN payout_runs r ON r.ledger_id = i.ledger_id AND r.key = i.run_key
             WHERE i.ledger_id = $1 AND i.merchant = m.id AND r.currency = t.currency
               AND i.status = 'waiting' AND r.status IN ('waiting', 'running')
         ) open
         ORDER BY m.id, t.currency",
    )
    .bind(ledger_id)
    .bind(currency.map(|currency| currency.code()))
    .bind(merchants)
    .fetch_all(conn)
    .await?
    .iter()
    .map(candidate_of)
    .collect()
}
