//! What PSPs told by themselves: stored as it came, then handled at least once and applied once.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::{indexable, storable};

/// A webhook that came in.
#[derive(Clone, Copy, Debug)]
pub struct NewWebhook<'a> {
    /// Who sent it.
    pub psp: &'a str,
    /// The same whenever the PSP sends the event again.
    pub event_id: &'a str,
    /// In the PSP's words; none: it can't be read.
    pub kind: Option<&'a str>,
    /// What the PSP calls the thing that it is about.
    pub reference: Option<&'a str>,
    /// As it came.
    pub body: &'a [u8],
}

/// A webhook that waits to be handled.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// The same whenever the PSP sends the event again.
    pub event_id: String,
    /// As it came.
    pub body: Vec<u8>,
    /// When it came, UTC.
    pub received_at: OffsetDateTime,
    /// How often handling it failed.
    pub attempts: u32,
}

/// What came of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It changed something.
    Applied,
    /// There was nothing to do, or it had been done before.
    Ignored,
    /// It does not agree with the ledger.
    Discrepancy,
    /// Kept for a part of the program that is not there.
    Later,
}

impl Fate {
    /// The name in the schema and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Discrepancy => "discrepancy",
            Self::Later => "later",
        }
    }
}

/// Stores a webhook: whether it is new. What the PSP sent before stays as it was.
///
/// # Errors
/// Where the database fails.
pub async fn store(
    conn: &mut PgConnection,
    new: &NewWebhook<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO psp_webhooks
             (psp, event_id, kind, reference, body, received_at, next_attempt_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT ON CONSTRAINT psp_webhooks_event_key DO NOTHING",
    )
    .bind(new.psp)
    .bind(indexable(new.event_id))
    .bind(new.kind.map(storable))
    .bind(new.reference.map(indexable))
    .bind(new.body)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

fn waiting_of(row: &PgRow) -> sqlx::Result<Waiting> {
    let attempts: i32 = row.try_get("attempts")?;
    Ok(Waiting {
        id: row.try_get("id")?,
        event_id: row.try_get("event_id")?,
        body: row.try_get("body")?,
        received_at: row.try_get("received_at")?,
        attempts: u32::try_from(attempts).unwrap_or(0),
    })
}

/// Locks webhooks that are due and in nobody else's hands, the longest due first.
///
/// # Errors
/// Where the database fails.
pub async fn take_due(
    conn: &mut PgConnection,
    psp: &str,
    limit: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query(
        "SELECT id, event_id, body, received_at, attempts FROM psp_webhooks
         WHERE next_attempt_at <= $1 AND psp = $2
         ORDER BY next_attempt_at, id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(now)
    .bind(psp)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(waiting_of)
    .collect()
}

/// Locks one webhook, if it still waits and is in nobody else's hands.
///
/// # Errors
/// Where the database fails.
pub async fn take(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Waiting>> {
    sqlx::query(
        "SELECT id, event_id, body, received_at, attempts FROM psp_webhooks
         WHERE id = $1 AND next_attempt_at IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(waiting_of)
    .transpose()
}

/// Writes down what came of webhooks.
///
/// # Errors
/// Where the database fails.
pub async fn finish(
    conn: &mut PgConnection,
    done: &[(i64, Fate)],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let (ids, fates): (Vec<i64>, Vec<&str>) =
        done.iter().map(|(id, fate)| (*id, fate.as_str())).unzip();
    sqlx::query(
        "UPDATE psp_webhooks SET status = n.status, next_attempt_at = NULL, last_error = NULL,
                processed_at = $3
         FROM unnest($1::bigint[], $2::text[]) AS n (id, status) WHERE psp_webhooks.id = n.id",
    )
    .bind(ids)
    .bind(fates)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// A webhook could not be handled, and waits.
///
/// # Errors
/// Where the database fails.
pub async fn postpone(
    conn: &mut PgConnection,
    id: i64,
    attempts: u32,
    next_attempt_at: OffsetDateTime,
    last_error: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE psp_webhooks SET attempts = $2, next_attempt_at = $3, last_error = $4
         WHERE id = $1 AND next_attempt_at IS NOT NULL",
    )
    .bind(id)
    .bind(i32::try_from(attempts).unwrap_or(i32::MAX))
    .bind(next_attempt_at)
    .bind(storable(last_error))
    .execute(conn)
    .await?;
    Ok(())
}

/// How many webhooks wait, and since when the oldest does, UTC.
///
/// # Errors
/// Where the database fails.
pub async fn depth(conn: &mut PgConnection) -> sqlx::Result<(i64, Option<OffsetDateTime>)> {
    sqlx::query_as(
        "SELECT count(*), min(received_at) FROM psp_webhooks WHERE next_attempt_at IS NOT NULL",
    )
    .fetch_one(conn)
    .await
}
