//! Events that took effect, by which a consumer drops repeats.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Notes within the transaction of its effect that an event took effect; whether it is the first
/// time. Waits for another transaction that is noting the same event.
///
/// # Errors
/// Where the database fails.
pub async fn note(
    conn: &mut PgConnection,
    consumer: &str,
    event_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let noted = sqlx::query(
        "INSERT INTO consumed_events (consumer, event_id, consumed_at) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
    )
    .bind(consumer)
    .bind(event_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(noted.rows_affected() > 0)
}

/// Forgets what was noted before this time, `limit` events at most; how many.
///
/// # Errors
/// Where the database fails.
pub async fn forget_before(
    conn: &mut PgConnection,
    before: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<u64> {
    let forgotten = sqlx::query(
        "DELETE FROM consumed_events WHERE (consumer, event_id) IN (
             SELECT consumer, event_id FROM consumed_events WHERE consumed_at < $1 LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(forgotten.rows_affected())
}
