//! Money in transit, and what is open.

use sqlx::{PgConnection, Row};

use crate::ledger::Address;

/// What money is in transit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transit {
    /// Payouts to merchants.
    Payouts,
    /// Refunds to customers.
    Refunds,
}

/// Money in transit of a currency.
#[derive(Clone, Debug)]
pub struct InTransit {
    /// Currency code.
    pub currency: String,
    /// What the wallet has, minor units.
    pub balance: i64,
    /// What is open sums to, minor units; text, since it may leave 64 bits.
    pub open: String,
}

macro_rules! differs {
    ($table:literal) => {
        concat!(
            "SELECT coalesce(w.currency, o.currency)::text AS currency,
                    coalesce(w.balance, 0) AS balance, coalesce(o.open, 0)::text AS open
             FROM (SELECT currency::text AS currency, balance FROM wallets
                   WHERE ledger_id = $1 AND address = $2) w
             FULL JOIN (SELECT currency::text AS currency, sum(amount) AS open FROM ",
            $table,
            "           WHERE ledger_id = $1 AND status IN ('requested', 'sent', 'unknown')
                        GROUP BY 1) o ON o.currency = w.currency
             WHERE coalesce(w.balance, 0) <> coalesce(o.open, 0)
             ORDER BY 1"
        )
    };
}

/// Money in the transit wallet and what is open, where they differ.
///
/// # Errors
/// Where the database fails.
pub async fn transit_differs(
    conn: &mut PgConnection,
    ledger_id: i32,
    of: Transit,
    wallet: &Address,
) -> sqlx::Result<Vec<InTransit>> {
    let statement = match of {
        Transit::Payouts => differs!("payouts"),
        Transit::Refunds => differs!("refunds"),
    };
    sqlx::query(statement)
        .bind(ledger_id)
        .bind(wallet.as_str())
        .fetch_all(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(InTransit {
                currency: row.try_get("currency")?,
                balance: row.try_get("balance")?,
                open: row.try_get("open")?,
            })
        })
        .collect()
}

/// How many refunds are on their way.
///
/// # Errors
/// Where the database fails.
pub async fn open_refunds(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<u64> {
    let open: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM refunds
         WHERE ledger_id = $1 AND status IN ('requested', 'sent', 'unknown')",
    )
    .bind(ledger_id)
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(open).unwrap_or_default())
}
