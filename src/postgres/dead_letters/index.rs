//! Indexing dead letters.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::postgres::{indexable, storable};

/// The partition of letters from the local bus, which has no places: their offsets are numbered
/// here.
pub const NO_PARTITION: i32 = -1;

/// A letter to be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// The topic that it lies on.
    pub topic: String,
    /// Partition and offset there.
    pub place: Option<(i32, i64)>,
    /// The letter's own id, by which one that was published twice is indexed once.
    pub letter_id: Option<Uuid>,
    /// The record's value, byte for byte.
    pub letter: Vec<u8>,
    /// The topic of the message that failed.
    pub original_topic: String,
    /// The message's own id, where it had one.
    pub event_id: Option<Uuid>,
    /// The ledger that the message came from, where it came from one.
    pub ledger: Option<String>,
    /// Why it failed.
    pub error: String,
    /// How many times it was tried.
    pub retry_count: u32,
    /// When it was given up, UTC.
    pub failed_at: OffsetDateTime,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// How often the message had been replayed.
    pub replay_count: u32,
    /// The letter that it was replayed from.
    pub replayed_from: Option<i64>,
}

/// Adds a letter, linked to its message's life before; its number, or `None` where it is indexed
/// already.
///
/// # Errors
/// Where the database fails; a unique violation where another process was indexing the same letter,
/// or gave the same number to one without a place: run it again.
pub async fn add(
    conn: &mut PgConnection,
    letter: &NewLetter,
    now: OffsetDateTime,
) -> sqlx::Result<Option<i64>> {
    let (partition, offset) = letter.place.unzip();
    // A number that names no letter, or one of another message, comes from another installation.
    let row = sqlx::query(
        r#"WITH previous AS (
             SELECT id, coalesce(first_id, id) AS first_id FROM dead_letters
             WHERE id = $14 AND event_id IS NOT DISTINCT FROM $7
           )
           INSERT INTO dead_letters (
             topic, partition, "offset", letter_id, letter, original_topic, event_id, ledger, error,
             retry_count, failed_at, correlation_id, replay_count, indexed_at, previous_id, first_id
           )
           SELECT $1, $2,
             coalesce($3, (SELECT coalesce(max("offset") + 1, 0) FROM dead_letters
                           WHERE topic = $1 AND partition = $2)),
             $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $15,
             (SELECT id FROM previous), (SELECT first_id FROM previous)
           WHERE NOT EXISTS (SELECT FROM dead_letters WHERE letter_id = $4)
             AND NOT EXISTS (SELECT FROM dead_letters
                             WHERE topic = $1 AND partition = $2 AND "offset" = $3)
           RETURNING id"#,
    )
    .bind(&letter.topic)
    .bind(partition.unwrap_or(NO_PARTITION))
    .bind(offset)
    .bind(letter.letter_id)
    .bind(&letter.letter)
    .bind(indexable(&letter.original_topic))
    .bind(letter.event_id)
    .bind(letter.ledger.as_deref().map(storable))
    .bind(storable(&letter.error))
    .bind(i32::try_from(letter.retry_count).unwrap_or(i32::MAX))
    .bind(letter.failed_at)
    .bind(letter.correlation_id.as_deref().map(indexable))
    .bind(i32::try_from(letter.replay_count).unwrap_or(i32::MAX))
    .bind(letter.replayed_from)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.try_get("id")).transpose()
}

/// How many letters wait for a decision, and since when the oldest does, UTC.
///
/// # Errors
/// Where the database fails.
pub async fn depth(conn: &mut PgConnection) -> sqlx::Result<(i64, Option<OffsetDateTime>)> {
    sqlx::query_as("SELECT count(*), min(failed_at) FROM dead_letters WHERE status = 'waiting'")
        .fetch_one(conn)
        .await
}
