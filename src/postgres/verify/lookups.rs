//! What verification looks up: the events that wait, and the names of what is wrong once it is
//! known that something is.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// Transactions that don't sum to zero in some currency.
#[derive(Clone, Debug)]
pub struct Unbalanced {
    /// How many pairs of transaction and currency.
    pub count: i64,
    /// The first of the transactions in order of id.
    pub transaction_id: Uuid,
    /// Its first currency that is off.
    pub currency: String,
    /// The sum, minor units; text, since it may leave 64 bits.
    pub sum: String,
}

/// Names the transactions that don't sum to zero. Reads all entries.
///
/// # Errors
/// Where the database fails.
pub async fn unbalanced(
    conn: &mut PgConnection,
    ledger_id: i32,
) -> sqlx::Result<Option<Unbalanced>> {
    sqlx::query(
        "SELECT transaction_id, currency, sum(amount)::text AS off, count(*) OVER () AS count
         FROM ledger_entries WHERE ledger_id = $1
         GROUP BY transaction_id, currency HAVING sum(amount) <> 0
         ORDER BY transaction_id, currency LIMIT 1",
    )
    .bind(ledger_id)
    .fetch_optional(conn)
    .await?
    .map(|row| {
        Ok(Unbalanced {
            count: row.try_get("count")?,
            transaction_id: row.try_get("transaction_id")?,
            currency: row.try_get("currency")?,
            sum: row.try_get("off")?,
        })
    })
    .transpose()
}

/// Transactions whose entries are not as many as they say, or that don't exist.
#[derive(Clone, Debug)]
pub struct Miscounted {
    /// How many transactions.
    pub count: i64,
    /// The first of them in order of id.
    pub transaction_id: Uuid,
    /// How many entries it says it has; `None` where there is no such transaction.
    pub expected: Option<i16>,
    /// How many entries name it.
    pub found: i64,
}

/// Names the transactions that are not there, or have other than their number of entries. Reads
/// all entries, or those of one wallet, of which then only the transactions that are not there
/// are named.
///
/// # Errors
/// Where the database fails.
pub async fn miscounted(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_id: Option<Uuid>,
) -> sqlx::Result<Option<Miscounted>> {
    let query = match wallet_id {
        None => {
            "SELECT coalesce(t.id, e.transaction_id) AS transaction_id, t.entry_count AS expected,
                    coalesce(e.found, 0) AS found, count(*) OVER () AS count
             FROM (SELECT transaction_id, count(*) AS found FROM ledger_entries
                   WHERE ledger_id = $1 GROUP BY transaction_id) e
             FULL JOIN (SELECT id, entry_count FROM transactions WHERE ledger_id = $1) t
                 ON t.id = e.transaction_id
             WHERE t.id IS NULL OR t.entry_count < 2 OR t.entry_count <> coalesce(e.found, 0)
             ORDER BY 1 LIMIT 1"
        }
        Some(_) => {
            "SELECT e.transaction_id, NULL::smallint AS expected, count(*) AS found,
                    count(*) OVER () AS count
             FROM ledger_entries e
             LEFT JOIN transactions t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id
             WHERE e.ledger_id = $1 AND e.wallet_id = $2 AND t.id IS NULL
             GROUP BY e.transaction_id ORDER BY 1 LIMIT 1"
        }
    };
    let mut query = sqlx::query(query).bind(ledger_id);
    if let Some(wallet_id) = wallet_id {
        query = query.bind(wallet_id);
    }
    query
        .fetch_optional(conn)
        .await?
        .map(|row| {
            Ok(Miscounted {
                count: row.try_get("count")?,
                transaction_id: row.try_get("transaction_id")?,
                expected: row.try_get("expected")?,
                found: row.try_get("found")?,
            })
        })
        .transpose()
}

/// An event that waits in the outbox.
#[derive(Clone, Debug)]
pub struct OutboxEvent {
    /// Place in the queue.
    pub id: i64,
    /// What it is named by.
    pub event_id: Uuid,
    /// Such as `aegis.transaction.posted`.
    pub event_type: String,
    /// Whose order is kept.
    pub key: String,
    /// What it is about.
    pub subject: String,
    /// JSON.
    pub payload: String,
}

/// The events behind a place in the queue, in order.
///
/// # Errors
/// Where the database fails.
pub async fn outbox_page(
    conn: &mut PgConnection,
    ledger_id: i32,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<OutboxEvent>> {
    sqlx::query(
        "SELECT id, event_id, event_type, key, subject, payload FROM transaction_outbox
         WHERE ledger_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(ledger_id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        Ok(OutboxEvent {
            id: row.try_get("id")?,
            event_id: row.try_get("event_id")?,
            event_type: row.try_get("event_type")?,
            key: row.try_get("key")?,
            subject: row.try_get("subject")?,
            payload: row.try_get("payload")?,
        })
    })
    .collect()
}

/// The address and currency of a wallet.
///
/// # Errors
/// Where the database fails.
pub async fn wallet_name(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet_id: Uuid,
) -> sqlx::Result<Option<(String, String)>> {
    sqlx::query_as(
        "SELECT address::text, currency::text FROM wallets WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger_id)
    .bind(wallet_id)
    .fetch_optional(conn)
    .await
}
