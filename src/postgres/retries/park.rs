//! Parking a message.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Headers, Message, Standing, headers_from};
use crate::event::{Envelope, header_pairs};
use crate::postgres::storable;

/// Parks a message. Where it waits already, its later life counts: the one that was replayed more
/// often, whose dead letter is not yet there.
///
/// # Errors
/// Where the database fails.
pub async fn park(
    conn: &mut PgConnection,
    consumer: &str,
    message: &Message,
    standing: Standing<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    while !insert(conn, consumer, message, standing, now).await? {
        // Waits for who has it in hand: it may be on its way out.
        let Some((id, headers)) = waiting(conn, consumer, message.event_id).await? else {
            continue;
        };
        if Envelope::replays_of(&message.headers) > Envelope::replays_of(&headers) {
            replace(conn, id, message, standing).await?;
        }
        break;
    }
    Ok(())
}

/// Whether no message of that event was waiting.
async fn insert(
    conn: &mut PgConnection,
    consumer: &str,
    message: &Message,
    standing: Standing<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query(
        "INSERT INTO consumer_retries (
             consumer, event_id, topic, key, headers, payload, correlation_id, attempts,
             next_attempt_at, last_error, created_at
         ) VALUES ($1, $2, $3, $4, $5::json, $6, $7, $8, $9, $10, $11)
         ON CONFLICT ON CONSTRAINT consumer_retries_event_key DO NOTHING",
    )
    .bind(consumer)
    .bind(message.event_id)
    .bind(&message.topic)
    .bind(&message.key)
    .bind(pairs_of(&message.headers)?)
    .bind(&message.payload)
    .bind(message.correlation_id.as_deref().map(storable))
    .bind(i32::try_from(standing.attempts).unwrap_or(i32::MAX))
    .bind(standing.next_attempt_at)
    .bind(standing.last_error.map(storable))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Locks the message of that event: its place and headers.
async fn waiting(
    conn: &mut PgConnection,
    consumer: &str,
    event_id: Uuid,
) -> sqlx::Result<Option<(i64, Headers)>> {
    let row = sqlx::query(
        "SELECT id, headers::text AS pairs FROM consumer_retries
         WHERE consumer = $1 AND event_id = $2 FOR UPDATE",
    )
    .bind(consumer)
    .bind(event_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.try_get("id")?, headers_from(&row)?)))
        .transpose()
}

async fn replace(
    conn: &mut PgConnection,
    id: i64,
    message: &Message,
    standing: Standing<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE consumer_retries SET headers = $2::json, payload = $3, correlation_id = $4,
             attempts = $5, next_attempt_at = $6, last_error = $7
         WHERE id = $1",
    )
    .bind(id)
    .bind(pairs_of(&message.headers)?)
    .bind(&message.payload)
    .bind(message.correlation_id.as_deref().map(storable))
    .bind(i32::try_from(standing.attempts).unwrap_or(i32::MAX))
    .bind(standing.next_attempt_at)
    .bind(standing.last_error.map(storable))
    .execute(conn)
    .await
    .map(|_| ())
}

fn pairs_of(headers: &[(String, Vec<u8>)]) -> sqlx::Result<String> {
    serde_json::to_string(&header_pairs(headers))
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
