//! How many events wait in the outbox, and since when.

use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

use super::relay_is_locked;

/// How the queue stands.
#[derive(Clone, Debug)]
pub struct Depth {
    /// Events that wait.
    pub rows: i64,
    /// Whether these were counted, and not estimated.
    pub is_exact: bool,
    /// Of these, refused ones that wait for another attempt.
    pub refused: i64,
    /// When the oldest was committed, UTC.
    pub oldest_at: Option<OffsetDateTime>,
    /// Whether a relay is at work.
    pub relay_running: bool,
}

/// Up to here [`glance`] counts; of more events that wait it tells what PostgreSQL's statistics say.
pub const COUNTED_MAX: i64 = 10_000;

/// How the queue of all ledgers stands, for whoever looks every few seconds: it reads few rows however
/// many wait, while [`depth`] reads them all. Events are committed in the order of their ids or nearly
/// so, and each ledger's first is taken for its oldest.
///
/// # Errors
/// Where the database fails.
pub async fn glance(conn: &mut PgConnection) -> sqlx::Result<Depth> {
    let row = sqlx::query(
        // Each along an index, whatever is known of the table: it keeps what was removed until it is
        // vacuumed, and may never have been analyzed.
        "SELECT (SELECT count(*) FROM (
                     SELECT FROM transaction_outbox ORDER BY ledger_id, id LIMIT $1 + 1
                 ) first) AS rows,
                (SELECT coalesce(sum(refused.rows), 0)::bigint FROM ledgers l
                 CROSS JOIN LATERAL (
                     SELECT count(*) AS rows FROM transaction_outbox o
                     WHERE o.ledger_id = l.id AND o.next_attempt_at IS NOT NULL
                 ) refused) AS refused,
                (SELECT min(oldest.created_at) FROM ledgers l
                 CROSS JOIN LATERAL (
                     SELECT created_at FROM transaction_outbox o WHERE o.ledger_id = l.id
                     ORDER BY o.id LIMIT 1
                 ) oldest) AS oldest_at,
                pg_stat_get_live_tuples('transaction_outbox'::regclass) AS live",
    )
    .bind(COUNTED_MAX)
    .fetch_one(&mut *conn)
    .await?;
    let (counted, live): (i64, i64) = (row.try_get("rows")?, row.try_get("live")?);
    let is_exact = counted <= COUNTED_MAX;
    Ok(Depth {
        rows: if is_exact { counted } else { live.max(counted) },
        is_exact,
        refused: row.try_get("refused")?,
        oldest_at: row.try_get("oldest_at")?,
        relay_running: relay_is_locked(conn).await?,
    })
}

/// How the queue of one ledger, or of all, stands. It reads every row.
///
/// # Errors
/// Where the database fails.
pub async fn depth(conn: &mut PgConnection, ledger_id: Option<i32>) -> sqlx::Result<Depth> {
    let row = sqlx::query(
        "SELECT count(*) AS rows, count(next_attempt_at) AS refused, min(created_at) AS oldest_at
         FROM transaction_outbox WHERE ledger_id = coalesce($1, ledger_id)",
    )
    .bind(ledger_id)
    .fetch_one(&mut *conn)
    .await?;
    Ok(Depth {
        rows: row.try_get("rows")?,
        is_exact: true,
        refused: row.try_get("refused")?,
        oldest_at: row.try_get("oldest_at")?,
        relay_running: relay_is_locked(conn).await?,
    })
}

/// The newest event's place in the queue of all ledgers, 0 where none waits.
///
/// # Errors
/// Where the database fails.
pub async fn newest(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM transaction_outbox")
        .fetch_one(conn)
        .await
}

/// How many events up to this place wait, of all ledgers.
///
/// # Errors
/// Where the database fails.
pub async fn waiting_up_to(conn: &mut PgConnection, id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM transaction_outbox WHERE id <= $1")
        .bind(id)
        .fetch_one(conn)
        .await
}
