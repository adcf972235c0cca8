//! What becomes of a letter. Every change is a compare-and-set on what the letter was when it was
//! decided upon.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::list::Status;

/// A letter as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its number.
    pub id: i64,
    /// What had become of it.
    pub status: Status,
    /// How often its message had been published again.
    pub replay_count: i32,
}

/// Says that these letters' messages were published again, one time more each: the numbers of those
/// that were still as they had been read.
///
/// # Errors
/// Where the database fails.
pub async fn mark_replayed(
    conn: &mut PgConnection,
    letters: &[Read],
    by: &str,
    at: OffsetDateTime,
) -> sqlx::Result<Vec<i64>> {
    let ids: Vec<i64> = letters.iter().map(|read| read.id).collect();
    let statuses: Vec<&str> = letters.iter().map(|read| read.status.as_str()).collect();
    let counts: Vec<i32> = letters.iter().map(|read| read.replay_count).collect();
    sqlx::query_scalar(
        "UPDATE dead_letters l
         SET status = 'replayed', replay_count = l.replay_count + 1, decided_at = $4,
             decided_by = $5, reason = NULL
         FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS read (id, status, replay_count)
         WHERE l.id = read.id AND l.status = read.status AND l.replay_count = read.replay_count
         RETURNING l.id",
    )
    .bind(ids)
    .bind(statuses)
    .bind(counts)
    .bind(at)
    .bind(by)
    .fetch_all(conn)
    .await
}

/// Gives waiting letters up: the numbers of those that still waited.
///
/// # Errors
/// Where the database fails.
pub async fn discard(
    conn: &mut PgConnection,
    ids: &[i64],
    reason: &str,
    by: &str,
    at: OffsetDateTime,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "UPDATE dead_letters SET status = 'discarded', reason = $2, decided_by = $3, decided_at = $4
         WHERE id = ANY($1) AND status = 'waiting'
         RETURNING id",
    )
    .bind(ids)
    .bind(reason)
    .bind(by)
    .bind(at)
    .fetch_all(conn)
    .await
}
