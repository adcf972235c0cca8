//! Ledgers.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::unreadable;
use crate::ledger::{Ledger, LedgerName};

/// Makes a ledger, or finds the one of that name: the ledger, and whether it was made now.
///
/// # Errors
/// Where the database fails.
pub async fn create(conn: &mut PgConnection, name: &LedgerName) -> sqlx::Result<(Ledger, bool)> {
    let made: Option<i32> = sqlx::query_scalar(
        "INSERT INTO ledgers (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id",
    )
    .bind(name.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    match made {
        Some(id) => Ok((
            Ledger {
                id,
                name: name.clone(),
            },
            true,
        )),
        None => find(conn, name)
            .await?
            .map(|ledger| (ledger, false))
            .ok_or(sqlx::Error::RowNotFound),
    }
}

/// The ledger of that name.
///
/// # Errors
/// Where the database fails.
pub async fn find(conn: &mut PgConnection, name: &LedgerName) -> sqlx::Result<Option<Ledger>> {
    let id: Option<i32> = sqlx::query_scalar("SELECT id FROM ledgers WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(id.map(|id| Ledger {
        id,
        name: name.clone(),
    }))
}

/// All ledgers, in order of their names.
///
/// # Errors
/// Where the database fails.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Ledger>> {
    let rows = sqlx::query("SELECT id, name FROM ledgers ORDER BY name")
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            let name: &str = row.try_get("name")?;
            Ok(Ledger {
                id: row.try_get("id")?,
                name: name.parse().map_err(|_| unreadable("ledger name", name))?,
            })
        })
        .collect()
}

/// A ledger with what it holds.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The ledger.
    pub ledger: Ledger,
    /// When it was made, UTC.
    pub created_at: OffsetDateTime,
    /// How many wallets it has.
    pub wallets: i64,
}

/// All ledgers in order of name.
///
/// # Errors
/// Where the database fails.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Summary>> {
    let rows = sqlx::query(
        "SELECT l.id, l.name, l.created_at,
                (SELECT count(*) FROM wallets w WHERE w.ledger_id = l.id) AS wallets
         FROM ledgers l ORDER BY l.name",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let name: &str = row.try_get("name")?;
            Ok(Summary {
                ledger: Ledger {
                    id: row.try_get("id")?,
                    name: name.parse().map_err(|_| unreadable("ledger name", name))?,
                },
                created_at: row.try_get("created_at")?,
                wallets: row.try_get("wallets")?,
            })
        })
        .collect()
}

/// What the wallets of one first segment hold in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Currency code.
    pub currency: String,
    /// First segment of the addresses, such as `merchant`.
    pub segment: String,
    /// How many wallets.
    pub wallets: i64,
    /// Sum of their balances, minor units; text, since a sum may leave 64 bits.
    pub balance: String,
    /// Sum of what holds reserve, minor units.
    pub held: String,
}

/// Balances per currency and first segment.
///
/// # Errors
/// Where the database fails.
pub async fn balances(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<Vec<Balance>> {
    let rows = sqlx::query(
        "SELECT currency::text AS currency, split_part(address, ':', 1) AS segment,
                count(*) AS wallets, sum(balance)::text AS balance, sum(held)::text AS held
         FROM wallets WHERE ledger_id = $1 GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .bind(ledger_id)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Balance {
                currency: row.try_get("currency")?,
                segment: row.try_get("segment")?,
                wallets: row.try_get("wallets")?,
                balance: row.try_get("balance")?,
                held: row.try_get("held")?,
            })
        })
        .collect()
}

/// A ledger and when it was made.
#[derive(Clone, Debug)]
pub struct Founded {
    /// The ledger.
    pub ledger: Ledger,
    /// When it was made, UTC.
    pub created_at: OffsetDateTime,
}

fn founded_from_row(row: &PgRow) -> sqlx::Result<Founded> {
    let name: &str = row.try_get("name")?;
    Ok(Founded {
        ledger: Ledger {
            id: row.try_get("id")?,
            name: name.parse().map_err(|_| unreadable("ledger name", name))?,
        },
        created_at: row.try_get("created_at")?,
    })
}

/// The ledger of that name, and when it was made.
///
/// # Errors
/// Where the database fails.
pub async fn founded(conn: &mut PgConnection, name: &LedgerName) -> sqlx::Result<Option<Founded>> {
    sqlx::query("SELECT id, name, created_at FROM ledgers WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(conn)
        .await?
        .map(|row| founded_from_row(&row))
        .transpose()
}

/// Ledgers in order of name, those behind `after` only.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<&LedgerName>,
    limit: i64,
) -> sqlx::Result<Vec<Founded>> {
    sqlx::query(
        "SELECT id, name, created_at FROM ledgers
         WHERE $1::text IS NULL OR name > $1
         ORDER BY name LIMIT $2",
    )
    .bind(after.map(LedgerName::as_str))
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(founded_from_row)
    .collect()
}
