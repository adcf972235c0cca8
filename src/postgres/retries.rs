//! Messages that failed and wait for another attempt, and those behind them of the same key.
//!
//! A *lane* is what is ordered: a consumer's messages of one topic and key. Of a lane only the first
//! may be attempted. A message without a key is a lane of its own. Keys are compared by their hashes:
//! a key may be longer than an index's entry.

mod park;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{storable, unreadable};
use crate::event::{Text, headers_of};

pub use park::park;

type Headers = Vec<(String, Vec<u8>)>;

/// A consumer's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its own id, or the one that stands in for it.
    pub event_id: Uuid,
    /// The topic that it came on.
    pub topic: String,
    /// Whose order matters; empty: no order.
    pub key: Vec<u8>,
    /// In order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The data.
    pub payload: Vec<u8>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
}

/// A message that waits.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Its place in the order.
    pub id: i64,
    /// The message.
    pub message: Message,
    /// How often it has failed.
    pub attempts: u32,
    /// Why, the last time.
    pub last_error: Option<String>,
}

/// What a message has behind it when it is parked.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// How often it has failed.
    pub attempts: u32,
    /// When it may be attempted, UTC.
    pub next_attempt_at: OffsetDateTime,
    /// Why it failed.
    pub last_error: Option<&'a str>,
}

/// Whether a message of this lane waits: then those behind it wait, too.
///
/// # Errors
/// Where the database fails.
pub async fn is_lane_taken(
    conn: &mut PgConnection,
    consumer: &str,
    topic: &str,
    key: &[u8],
) -> sqlx::Result<bool> {
    if key.is_empty() {
        return Ok(false);
    }
    sqlx::query_scalar(
        // The comparison of rows leaves the planner one index to go by, here and below.
        "SELECT EXISTS (
             SELECT FROM (
                 SELECT b.consumer, b.topic, b.key FROM consumer_retries b
                 WHERE (b.consumer, b.topic, sha256(b.key)) >= ($1, $2, sha256($3))
                 ORDER BY b.consumer, b.topic, sha256(b.key), b.id LIMIT 1
             ) b
             WHERE b.consumer = $1 AND b.topic = $2 AND b.key = $3)",
    )
    .bind(consumer)
    .bind(topic)
    .bind(key)
    .fetch_one(conn)
    .await
}

/// Locks a message that may be attempted now: the first of its lane, and in nobody else's hands.
///
/// # Errors
/// Where the database fails.
pub async fn next_due(
    conn: &mut PgConnection,
    consumer: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Parked>> {
    let row = sqlx::query(
        "SELECT r.*, r.headers::text AS pairs FROM consumer_retries r
         WHERE consumer = $1 AND next_attempt_at <= $2
           AND (key = '' OR id = (
                    SELECT b.id FROM consumer_retries b
                    WHERE (b.consumer, b.topic, sha256(b.key))
                          >= (r.consumer, r.topic, sha256(r.key))
                    ORDER BY b.consumer, b.topic, sha256(b.key), b.id LIMIT 1))
         ORDER BY next_attempt_at, id LIMIT 1
         FOR UPDATE OF r SKIP LOCKED",
    )
    .bind(consumer)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(from_row).transpose()
}

/// The same within one lane, once what stood before it is out of the way.
///
/// # Errors
/// Where the database fails.
pub async fn next_of_lane(
    conn: &mut PgConnection,
    consumer: &str,
    topic: &str,
    key: &[u8],
    now: OffsetDateTime,
) -> sqlx::Result<Option<Parked>> {
    if key.is_empty() {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT r.*, r.headers::text AS pairs FROM consumer_retries r
         WHERE consumer = $1 AND topic = $2 AND sha256(key) = sha256($3)
           AND next_attempt_at <= $4
           AND id = (SELECT b.id FROM consumer_retries b
                     WHERE (b.consumer, b.topic, sha256(b.key)) >= ($1, $2, sha256($3))
                     ORDER BY b.consumer, b.topic, sha256(b.key), b.id LIMIT 1)
         FOR UPDATE OF r SKIP LOCKED",
    )
    .bind(consumer)
    .bind(topic)
    .bind(key)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(from_row).transpose()
}

/// A message failed again, and waits.
///
/// # Errors
/// Where the database fails.
pub async fn postpone(
    conn: &mut PgConnection,
    id: i64,
    standing: Standing<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE consumer_retries SET attempts = $2, next_attempt_at = $3, last_error = $4
         WHERE id = $1",
    )
    .bind(id)
    .bind(i32::try_from(standing.attempts).unwrap_or(i32::MAX))
    .bind(standing.next_attempt_at)
    .bind(standing.last_error.map(storable))
    .execute(conn)
    .await
    .map(|_| ())
}

/// A message is out of the way.
///
/// # Errors
/// Where the database fails.
pub async fn remove(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM consumer_retries WHERE id = $1")
        .bind(id)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The next time after `now` at which a message may be attempted.
///
/// # Errors
/// Where the database fails.
pub async fn next_time(
    conn: &mut PgConnection,
    consumer: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<OffsetDateTime>> {
    sqlx::query_scalar(
        "SELECT min(next_attempt_at) FROM consumer_retries
         WHERE consumer = $1 AND next_attempt_at > $2",
    )
    .bind(consumer)
    .bind(now)
    .fetch_one(conn)
    .await
}

/// How many messages wait, and since when the oldest does, UTC.
///
/// # Errors
/// Where the database fails.
pub async fn depth(conn: &mut PgConnection) -> sqlx::Result<(i64, Option<OffsetDateTime>)> {
    sqlx::query_as("SELECT count(*), min(created_at) FROM consumer_retries")
        .fetch_one(conn)
        .await
}

fn headers_from(row: &PgRow) -> sqlx::Result<Headers> {
    let pairs: &str = row.try_get("pairs")?;
    let headers = serde_json::from_str::<Vec<(String, Text)>>(pairs).ok();
    let headers = headers.and_then(|pairs| headers_of(&pairs).ok());
    headers.ok_or_else(|| unreadable("headers of a message", pairs))
}

fn from_row(row: &PgRow) -> sqlx::Result<Parked> {
    let attempts: i32 = row.try_get("attempts")?;
    Ok(Parked {
        id: row.try_get("id")?,
        message: Message {
            event_id: row.try_get("event_id")?,
            topic: row.try_get("topic")?,
            key: row.try_get("key")?,
            headers: headers_from(row)?,
            payload: row.try_get("payload")?,
            correlation_id: row.try_get("correlation_id")?,
        },
        attempts: u32::try_from(attempts).unwrap_or(0),
        last_error: row.try_get("last_error")?,
    })
}
