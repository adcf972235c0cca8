//! Advisory locks: held by a connection rather than by a row, so that a process that died holds none.

use sqlx::PgConnection;

/// Takes a lock for as long as the connection lives: whether it was free.
///
/// # Errors
/// Where the database fails.
pub(super) async fn try_take(conn: &mut PgConnection, key: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(key)
        .fetch_one(conn)
        .await
}

/// For each lock, whether any connection of this database has it for itself.
///
/// # Errors
/// Where the database fails.
pub(super) async fn are_taken(conn: &mut PgConnection, keys: &[i64]) -> sqlx::Result<Vec<bool>> {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM pg_locks
             WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND mode = 'ExclusiveLock'
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND ((classid::bigint << 32) | objid::bigint) = asked.key
         )
         FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (key, place) ORDER BY place",
    )
    .bind(keys)
    .fetch_all(conn)
    .await
}
