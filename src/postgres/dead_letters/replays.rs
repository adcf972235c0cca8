//! Runs of replays: begun, on their way, ended. A row says `running` for as long as its run holds
//! its topics (`lock`); one that does not was interrupted.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::lock;
use crate::postgres::audit::Actor;
use crate::postgres::unreadable;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// It is on its way.
    Running,
    /// It came to its end.
    Done,
    /// Somebody asked it to stop, and it did.
    Cancelled,
    /// It stopped before its end: by a signal, without the bus, or its process died.
    Interrupted,
}

impl RunStatus {
    const ALL: [Self; 4] = [
        Self::Running,
        Self::Done,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// Its name in the database and everywhere else.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// The topics that it publishes to, sorted.
    pub topics: Vec<String>,
    /// The newest letter that belongs to it.
    pub last_letter_id: i64,
    /// What was asked for, JSON.
    pub selection: String,
    /// How it stands.
    pub status: RunStatus,
    /// Letters that belong to it.
    pub total: i64,
    /// Letters that were replayed.
    pub replayed: i64,
    /// Letters that could not be replayed.
    pub failed: i64,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// Who began it.
    pub started_by: String,
    /// From where.
    pub host: String,
    /// When, UTC.
    pub started_at: OffsetDateTime,
    /// When it last came further, UTC.
    pub updated_at: OffsetDateTime,
    /// When it ended, or was found to have ended, UTC.
    pub finished_at: Option<OffsetDateTime>,
}

fn from_row(row: &PgRow) -> sqlx::Result<Run> {
    let status: &str = row.try_get("status")?;
    Ok(Run {
        id: row.try_get("id")?,
        topics: row.try_get("topics")?,
        last_letter_id: row.try_get("last_letter_id")?,
        selection: row.try_get("selection")?,
        status: RunStatus::ALL
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| unreadable("replay status", status))?,
        total: row.try_get("total")?,
        replayed: row.try_get("replayed")?,
        failed: row.try_get("failed")?,
        cancel_requested: row.try_get("cancel_requested")?,
        started_by: row.try_get("started_by")?,
        host: row.try_get("host")?,
        started_at: row.try_get("started_at")?,
        updated_at: row.try_get("updated_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}

macro_rules! runs {
    ($behind:literal) => {
        concat!(
            "SELECT id, topics, last_letter_id, selection::text AS selection, status, total,
                    replayed, failed, cancel_requested, started_by, host, started_at, updated_at,
                    finished_at
             FROM dead_letter_replays ",
            $behind
        )
    };
}

/// A run to begin.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// The topics that it publishes to, sorted.
    pub topics: &'a [String],
    /// The newest letter that belongs to it.
    pub last_letter_id: i64,
    /// What was asked for.
    pub selection: &'a serde_json::Value,
    /// Letters that belong to it.
    pub total: i64,
}

/// Begins a run on topics that this connection has taken; what others left running there was
/// interrupted. The run's number.
///
/// # Errors
/// Where the database fails.
pub async fn begin(
    conn: &mut PgConnection,
    run: &NewRun<'_>,
    actor: &Actor,
    at: OffsetDateTime,
) -> sqlx::Result<i64> {
    sqlx::query(
        "UPDATE dead_letter_replays SET status = 'interrupted', finished_at = $2
         WHERE status = 'running' AND topics && $1",
    )
    .bind(run.topics)
    .bind(at)
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar(
        "INSERT INTO dead_letter_replays (
             topics, last_letter_id, selection, total, started_by, host, started_at, updated_at
         ) VALUES ($1, $2, $3::text::json, $4, $5, $6, $7, $7) RETURNING id",
    )
    .bind(run.topics)
    .bind(run.last_letter_id)
    .bind(run.selection.to_string())
    .bind(run.total)
    .bind(&actor.name)
    .bind(&actor.host)
    .bind(at)
    .fetch_one(conn)
    .await
}

/// How much further a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// So many were replayed.
    pub replayed: i64,
    /// So many could not be.
    pub failed: i64,
    /// So many belong to it no more: somebody decided on them meanwhile.
    pub dropped: i64,
}

/// Whether somebody asked a run to stop.
///
/// # Errors
/// Where the database fails; `RowNotFound` where the run is no longer running.
pub async fn is_cancelled(conn: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT cancel_requested FROM dead_letter_replays WHERE id = $1 AND status = 'running'",
    )
    .bind(id)
    .fetch_one(conn)
    .await
}

/// Says how much further a run has come.
///
/// # Errors
/// Where the database fails; `RowNotFound` where the run is no longer running.
pub async fn advance(
    conn: &mut PgConnection,
    id: i64,
    step: Step,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let done = sqlx::query(
        "UPDATE dead_letter_replays
         SET replayed = replayed + $2, failed = failed + $3, total = total - $4, updated_at = $5
         WHERE id = $1 AND status = 'running'",
    )
    .bind(id)
    .bind(step.replayed)
    .bind(step.failed)
    .bind(step.dropped)
    .bind(at)
    .execute(conn)
    .await?;
    match done.rows_affected() {
        0 => Err(sqlx::Error::RowNotFound),
        _ => Ok(()),
    }
}

/// Ends a run.
///
/// # Errors
/// Where the database fails.
pub async fn finish(
    conn: &mut PgConnection,
    id: i64,
    status: RunStatus,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE dead_letter_replays SET status = $2, updated_at = $3, finished_at = $3
         WHERE id = $1 AND status = 'running'",
    )
    .bind(id)
    .bind(status.as_str())
    .bind(at)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Asks a run to stop: whether it runs and nobody had asked before.
///
/// # Errors
/// Where the database fails.
pub async fn request_cancel(conn: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE dead_letter_replays SET cancel_requested = true
         WHERE id = $1 AND status = 'running' AND NOT cancel_requested",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Marks the runs that say `running` and don't hold their topics any more.
///
/// # Errors
/// Where the database fails.
pub async fn mark_interrupted(conn: &mut PgConnection, at: OffsetDateTime) -> sqlx::Result<()> {
    let running = sqlx::query(runs!("WHERE status = 'running'"))
        .fetch_all(&mut *conn)
        .await?;
    let mut dead = Vec::new();
    for row in &running {
        let run = from_row(row)?;
        let taken = lock::are_taken(conn, &run.topics).await?;
        if taken.contains(&false) {
            dead.push(run.id);
        }
    }
    if dead.is_empty() {
        return Ok(());
    }
    // One that came to its end meanwhile has said so before it gave its topics back.
    sqlx::query(
        "UPDATE dead_letter_replays SET status = 'interrupted', finished_at = $2
         WHERE id = ANY($1) AND status = 'running'",
    )
    .bind(dead)
    .bind(at)
    .execute(conn)
    .await
    .map(|_| ())
}

/// A run; `None` where there is none of that number, or none that was confined to this ledger.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    id: i64,
    ledger: Option<&str>,
) -> sqlx::Result<Option<Run>> {
    sqlx::query(runs!(
        "WHERE id = $1 AND ($2::text IS NULL OR selection->>'ledger' = $2)"
    ))
    .bind(id)
    .bind(ledger)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// Runs, the newest first, before `before`.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    ledger: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Run>> {
    sqlx::query(runs!(
        "WHERE ($1::text IS NULL OR selection->>'ledger' = $1)
           AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3"
    ))
    .bind(ledger)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(from_row)
    .collect()
}

/// The run that is on its way on a topic.
///
/// # Errors
/// Where the database fails.
pub async fn running_on(conn: &mut PgConnection, topic: &str) -> sqlx::Result<Option<Run>> {
    sqlx::query(runs!(
        "WHERE status = 'running' AND topics @> ARRAY[$1]::text[] ORDER BY id DESC LIMIT 1"
    ))
    .bind(topic)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// The newest run that was begun under this key.
///
/// # Errors
/// Where the database fails.
pub async fn under_key(conn: &mut PgConnection, key: &str) -> sqlx::Result<Option<Run>> {
    // Runs are few: people begin them.
    sqlx::query(runs!(
        "WHERE selection->>'idempotency_key' = $1 ORDER BY id DESC LIMIT 1"
    ))
    .bind(key)
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}
