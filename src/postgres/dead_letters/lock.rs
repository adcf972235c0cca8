//! Who may decide on a topic's letters: one replay, or any number of discards.
//!
//! Advisory locks, since a replay outlives many transactions: it holds one a topic for as long as
//! its connection lives, so that a process that died holds none.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};

use crate::postgres::advisory;

/// The number of a topic's lock.
fn key(topic: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(format!("aegis dead letters of {topic}")).into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// A connection of its own for a replay, beside a pool.
///
/// # Errors
/// Where there is none to be had; `PoolTimedOut` after `timeout`.
pub async fn dedicated(pool: &PgPool, timeout: Duration) -> sqlx::Result<PgConnection> {
    let options = PgConnectOptions::clone(&pool.connect_options()).application_name("aegis-replay");
    tokio::time::timeout(timeout, PgConnection::connect_with(&options))
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Takes a topic for a replay, for as long as the connection lives: whether it was free.
///
/// # Errors
/// Where the database fails.
pub async fn try_take(conn: &mut PgConnection, topic: &str) -> sqlx::Result<bool> {
    advisory::try_take(conn, key(topic)).await
}

/// Gives back all that the connection took.
///
/// # Errors
/// Where the database fails.
pub async fn give_back(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_unlock_all()")
        .execute(conn)
        .await
        .map(|_| ())
}

/// Keeps replays off a topic until the end of the transaction: whether none is at it.
///
/// # Errors
/// Where the database fails.
pub async fn try_share(conn: &mut PgConnection, topic: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_xact_lock_shared($1)")
        .bind(key(topic))
        .fetch_one(conn)
        .await
}

/// For each topic, whether a replay holds it.
///
/// # Errors
/// Where the database fails.
pub async fn are_taken(conn: &mut PgConnection, topics: &[String]) -> sqlx::Result<Vec<bool>> {
    let keys: Vec<i64> = topics.iter().map(|topic| key(topic)).collect();
    advisory::are_taken(conn, &keys).await
}
