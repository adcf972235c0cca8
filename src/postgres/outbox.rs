//! The outbox as a queue: rows are read in order, and removed once the bus has acknowledged them.
//!
//! Events of one key become visible in the order of their ids, since the wallet that is the key is
//! locked from before its event gets an id until after the COMMIT. Events of different keys don't,
//! which is why rows are removed rather than passed by a cursor.

mod depths;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, PgConnection, PgPool, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{BY_KEY, advisory};
use crate::event::EventType;

pub use self::depths::{COUNTED_MAX, Depth, depth, glance, newest, waiting_up_to};

/// The channel that an insert into the outbox notifies.
pub const CHANNEL: &str = "aegis_outbox";

/// The advisory lock that the one relay of a database holds. The value is arbitrary, only ours.
const RELAY_LOCK: i64 = 0x0061_6567_6973_0001;

/// An event that waits for the bus.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The ledger.
    pub ledger_id: i32,
    /// Its name.
    pub ledger: String,
    /// Place in the queue.
    pub id: i64,
    /// Consumers drop repeats by it.
    pub event_id: Uuid,
    /// Such as `aegis.transaction.posted`.
    pub event_type: String,
    /// Where it goes.
    pub topic: String,
    /// Whose order matters.
    pub key: String,
    /// What it is about.
    pub subject: String,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// JSON.
    pub payload: String,
    /// When it was committed, UTC.
    pub created_at: OffsetDateTime,
    /// How often the broker refused it.
    pub attempts: i32,
    /// When it is tried next, UTC, where it was refused.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What the broker said.
    pub last_error: Option<String>,
}

fn from_row(row: &PgRow) -> sqlx::Result<Pending> {
    Ok(Pending {
        ledger_id: row.try_get("ledger_id")?,
        ledger: row.try_get("ledger")?,
        id: row.try_get("id")?,
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        topic: row.try_get("topic")?,
        key: row.try_get("key")?,
        subject: row.try_get("subject")?,
        correlation_id: row.try_get("correlation_id")?,
        traceparent: row.try_get("traceparent")?,
        payload: row.try_get("payload")?,
        created_at: row.try_get("created_at")?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        last_error: row.try_get("last_error")?,
    })
}

/// Something that happened, to be told with the COMMIT.
#[derive(Clone, Debug)]
pub struct News {
    /// What happened.
    pub event_type: EventType,
    /// Whose order matters, and what it is about: an id of a payment, a payout and the like.
    pub subject: String,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// JSON.
    pub payload: String,
}

/// Puts events into the outbox, in order. Events of one subject are told in the order of their
/// COMMITs where its row is locked before.
///
/// # Errors
/// Where the database fails.
pub async fn tell(
    conn: &mut PgConnection,
    ledger_id: i32,
    topic: &str,
    news: &[News],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = news.iter().map(|_| Uuid::now_v7()).collect();
    let types: Vec<&str> = news.iter().map(|n| n.event_type.as_str()).collect();
    let subjects: Vec<&str> = news.iter().map(|n| n.subject.as_str()).collect();
    let correlation_ids: Vec<Option<&str>> =
        news.iter().map(|n| n.correlation_id.as_deref()).collect();
    let traceparents: Vec<Option<&str>> = news.iter().map(|n| n.traceparent.as_deref()).collect();
    let payloads: Vec<&str> = news.iter().map(|n| n.payload.as_str()).collect();
    sqlx::query(
        "INSERT INTO transaction_outbox (
             ledger_id, event_id, event_type, topic, key, subject, correlation_id, traceparent,
             payload, created_at)
         SELECT $1, n.id, n.type, $2, n.subject, n.subject, n.correlation_id, n.traceparent,
                n.payload, $9
         FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
             WITH ORDINALITY
             AS n (id, type, subject, correlation_id, traceparent, payload, place)
         ORDER BY n.place",
    )
    .bind(ledger_id)
    .bind(topic)
    .bind(ids)
    .bind(types)
    .bind(subjects)
    .bind(correlation_ids)
    .bind(traceparents)
    .bind(payloads)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the relay's lock for as long as the connection lives: whether it was free.
///
/// # Errors
/// Where the database fails.
pub async fn try_lock_relay(conn: &mut PgConnection) -> sqlx::Result<bool> {
    advisory::try_take(conn, RELAY_LOCK).await
}

/// Whether any connection of this database holds the relay's lock.
///
/// # Errors
/// Where the database fails.
pub async fn relay_is_locked(conn: &mut PgConnection) -> sqlx::Result<bool> {
    let taken = advisory::are_taken(conn, &[RELAY_LOCK]).await?;
    Ok(taken.contains(&true))
}

/// The events that may go out now, at most `limit` a ledger so that no ledger starves another, and
/// at most eight times as many in all, in order. An event behind one of its key that waits for
/// another attempt waits too.
///
/// Only those behind `floor` are looked for: 0 for all. What was removed and a long snapshot elsewhere
/// keeps from being cleared away lies before it, and need not be passed again by every claim.
///
/// # Errors
/// Where the database fails.
pub async fn claim(
    conn: &mut PgConnection,
    floor: i64,
    limit: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Pending>> {
    sqlx::query(
        "SELECT o.*, l.name AS ledger
         FROM ledgers l CROSS JOIN LATERAL (
             SELECT * FROM transaction_outbox o
             WHERE o.ledger_id = l.id AND o.id > $3
               AND (o.next_attempt_at IS NULL OR o.next_attempt_at <= $2)
               AND NOT EXISTS (
                   SELECT FROM transaction_outbox waiting
                   WHERE waiting.ledger_id = o.ledger_id AND waiting.key = o.key
                     AND waiting.id < o.id AND waiting.next_attempt_at IS NOT NULL
                     AND (waiting.next_attempt_at > $2 OR waiting.id <= $3)
                   OFFSET 0
               )
             ORDER BY o.id LIMIT $1
         ) o
         ORDER BY o.id LIMIT 8 * $1",
    )
    .bind(limit)
    .bind(now)
    .bind(floor)
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// Removes events that the bus has acknowledged.
///
/// # Errors
/// Where the database fails.
pub async fn remove(conn: &mut PgConnection, rows: &[(i32, i64)]) -> sqlx::Result<u64> {
    let (ledgers, ids): (Vec<i32>, Vec<i64>) = rows.iter().copied().unzip();
    let done = sqlx::query(
        "DELETE FROM transaction_outbox o
         USING unnest($1::integer[], $2::bigint[]) AS gone (ledger_id, id)
         -- By way of ctid: each row is found by its key, however the table looked when this was
         -- planned. Nobody but the one relay changes rows.
         CROSS JOIN LATERAL (
             SELECT r.ctid FROM transaction_outbox r
             WHERE r.ledger_id = gone.ledger_id AND r.id = gone.id OFFSET 0
         ) row
         WHERE o.ctid = row.ctid",
    )
    .bind(ledgers)
    .bind(ids)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Counts a refusal of one event and says when it is tried again.
///
/// # Errors
/// Where the database fails.
pub async fn defer(
    conn: &mut PgConnection,
    row: (i32, i64),
    next_attempt_at: OffsetDateTime,
    error: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE transaction_outbox
         SET attempts = attempts + 1, next_attempt_at = $3, last_error = $4
         WHERE ledger_id = $1 AND id = $2",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(next_attempt_at)
    .bind(error)
    .execute(conn)
    .await?;
    Ok(())
}

/// When the first of the refused events may be tried again, UTC.
///
/// # Errors
/// Where the database fails.
pub async fn next_attempt(conn: &mut PgConnection) -> sqlx::Result<Option<OffsetDateTime>> {
    sqlx::query_scalar(
        "SELECT min(next_attempt_at) FROM transaction_outbox WHERE next_attempt_at IS NOT NULL",
    )
    .fetch_one(conn)
    .await
}

/// The queue's first events in order, of one ledger, behind `after`.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<Pending>> {
    sqlx::query(
        "SELECT o.*, l.name AS ledger
         FROM transaction_outbox o JOIN ledgers l ON l.id = o.ledger_id
         WHERE o.ledger_id = $1 AND o.id > $2 ORDER BY o.id LIMIT $3",
    )
    .bind(ledger_id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// Hears of new events.
#[derive(Debug)]
pub struct Listener(sqlx::postgres::PgListener);

impl Listener {
    /// Listens on a connection of its own.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn connect(pool: &PgPool) -> sqlx::Result<Self> {
        let mut listener = sqlx::postgres::PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// Waits for the next notification.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn heard(&mut self) -> sqlx::Result<()> {
        self.0.recv().await.map(|_| ())
    }
}

/// Tells the server that the relay is there, which has to be said more often than every 20 s.
///
/// # Errors
/// Where the connection is lost.
pub async fn keep_alive(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(conn).await.map(|_| ())
}

/// A connection for the relay, outside any pool: it holds the lock for as long as it lives.
///
/// # Errors
/// Where the database fails.
pub async fn dedicated(pool: &PgPool) -> sqlx::Result<PgConnection> {
    let options = PgConnectOptions::clone(&pool.connect_options());
    let options = options
        .application_name("aegis-relay")
        .options(BY_KEY)
        // A removal that a crash of the server takes back has the event published again, as any
        // crash may; so it isn't worth a write to disk beside those of the postings.
        .options([("synchronous_commit", "off")])
        // The lock of a process that hangs goes to another one.
        .options([("idle_session_timeout", "20s")]);
    PgConnection::connect_with(&options).await
}
