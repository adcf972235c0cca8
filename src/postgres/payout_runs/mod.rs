//! Payout runs: frozen lists, and how far each has come.
//!
//! An item says whether its payout was requested; how that one stands is read from the payout, so
//! that the counts of a run are true whoever ended it: the run, aegisd, a webhook or a person.

pub mod due;
pub mod items;
pub mod lock;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::audit::Actor;
use super::unreadable;
use super::wallets::currency_of;
use crate::ledger::{Currency, Ledger};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// For the approval of a second person; nothing was paid.
    Waiting,
    /// It pays, or has stopped on the way.
    Running,
    /// None of its items waits any more.
    Finished,
    /// Somebody gave it up; what was requested before stays so.
    Cancelled,
}

impl RunStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Waiting,
        Self::Running,
        Self::Finished,
        Self::Cancelled,
    ];

    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// Who made the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The merchants' terms and balances.
    Due,
    /// Somebody wrote it.
    List,
}

impl Source {
    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::List => "list",
        }
    }
}

/// How many items, and of how much together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Items.
    pub count: i64,
    /// Minor units.
    pub total: i64,
}

/// What became of a run's items so far. Together they are all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The recipient has the money.
    pub succeeded: Sum,
    /// Came to nothing: refused by a rule or the PSP, or the money came back.
    pub failed: Sum,
    /// Whether the PSP paid is not known.
    pub unknown: Sum,
    /// Not requested yet, or on their way.
    pub waiting: Sum,
    /// Given up with the run before they were requested.
    pub cancelled: Sum,
}

/// A run with how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name in the ledger, for ever.
    pub key: String,
    /// Who made the list.
    pub source: Source,
    /// Of all its items.
    pub currency: Currency,
    /// Items.
    pub count: i32,
    /// Their sum, minor units.
    pub total: i64,
    /// SHA-256 over the lines of the list.
    pub list_hash: [u8; 32],
    /// How it stands.
    pub status: RunStatus,
    /// The limit that it is over; `None`: it needs no approval.
    pub approval_reason: Option<String>,
    /// Who started it, and from where.
    pub started_by: Actor,
    /// When, UTC.
    pub started_at: OffsetDateTime,
    /// Who approved of it, and from where.
    pub approved_by: Option<Actor>,
    /// When, UTC.
    pub approved_at: Option<OffsetDateTime>,
    /// Who gave it up.
    pub cancelled_by: Option<String>,
    /// Why.
    pub cancel_reason: Option<String>,
    /// When it was over, UTC.
    pub finished_at: Option<OffsetDateTime>,
    /// What became of its items.
    pub tally: Tally,
}

/// A run to freeze.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// Its name.
    pub key: &'a str,
    /// Who made the list.
    pub source: Source,
    /// Of all its items.
    pub currency: Currency,
    /// Items, 1 or more.
    pub count: i32,
    /// Their sum, minor units.
    pub total: i64,
    /// Over the lines of the list.
    pub list_hash: &'a [u8; 32],
    /// The limit that it is over, which has it wait.
    pub approval_reason: Option<&'a str>,
    /// Whether aegisd works on it.
    pub in_background: bool,
}

/// What becomes of an item, by its own status and its payout's.
macro_rules! outcome {
    () => {
        "CASE
             WHEN i.status = 'rejected' THEN 'failed'
             WHEN i.status = 'cancelled' THEN 'cancelled'
             WHEN p.status = 'succeeded' THEN 'succeeded'
             WHEN p.status IN ('failed', 'returned') THEN 'failed'
             WHEN p.status = 'unknown' THEN 'unknown'
             ELSE 'waiting'
         END"
    };
}
use outcome;

macro_rules! runs {
    ($behind:literal) => {
        concat!(
            "SELECT r.key::text AS key, r.source, r.currency::text AS currency, r.count, r.total,
                    r.list_hash, r.status, r.approval_reason, r.started_by, r.started_from,
                    r.started_at, r.approved_by, r.approved_from, r.approved_at, r.cancelled_by,
                    r.cancel_reason, r.finished_at, t.*
             FROM payout_runs r
             CROSS JOIN LATERAL (
                 SELECT count(*) FILTER (WHERE o.outcome = 'succeeded') AS succeeded,
                        count(*) FILTER (WHERE o.outcome = 'failed') AS failed,
                        count(*) FILTER (WHERE o.outcome = 'unknown') AS unknown,
                        count(*) FILTER (WHERE o.outcome = 'waiting') AS waiting,
                        count(*) FILTER (WHERE o.outcome = 'cancelled') AS cancelled,
                        sum(o.amount) FILTER (WHERE o.outcome = 'succeeded')::bigint
                            AS succeeded_total,
                        sum(o.amount) FILTER (WHERE o.outcome = 'failed')::bigint AS failed_total,
                        sum(o.amount) FILTER (WHERE o.outcome = 'unknown')::bigint
                            AS unknown_total,
                        sum(o.amount) FILTER (WHERE o.outcome = 'waiting')::bigint
                            AS waiting_total,
                        sum(o.amount) FILTER (WHERE o.outcome = 'cancelled')::bigint
                            AS cancelled_total
                 FROM (SELECT i.amount, ",
            $crate::postgres::payout_runs::outcome!(),
            " AS outcome
                       FROM payout_run_items i
                       LEFT JOIN payouts p ON p.ledger_id = i.ledger_id AND p.id = i.payout_id
                       WHERE i.ledger_id = r.ledger_id AND i.run_key = r.key) o
             ) t ",
            $behind
        )
    };
}

fn sum_of(row: &PgRow, count: &str, total: &str) -> sqlx::Result<Sum> {
    Ok(Sum {
        count: row.try_get(count)?,
        total: row.try_get::<Option<i64>, _>(total)?.unwrap_or_default(),
    })
}

fn tally_of(row: &PgRow) -> sqlx::Result<Tally> {
    Ok(Tally {
        succeeded: sum_of(row, "succeeded", "succeeded_total")?,
        failed: sum_of(row, "failed", "failed_total")?,
        unknown: sum_of(row, "unknown", "unknown_total")?,
        waiting: sum_of(row, "waiting", "waiting_total")?,
        cancelled: sum_of(row, "cancelled", "cancelled_total")?,
    })
}

fn run_of(row: &PgRow) -> sqlx::Result<Run> {
    let (status, source): (&str, &str) = (row.try_get("status")?, row.try_get("source")?);
    let hash: Vec<u8> = row.try_get("list_hash")?;
    let actor = |name: Option<String>, host: Option<String>| {
        let both = name.zip(host);
        both.map(|(name, host)| Actor { name, host })
    };
    Ok(Run {
        key: row.try_get("key")?,
        source: [Source::Due, Source::List]
            .into_iter()
            .find(|known| known.as_str() == source)
            .ok_or_else(|| unreadable("source of a payout run", source))?,
        currency: currency_of(row.try_get("currency")?)?,
        count: row.try_get("count")?,
        total: row.try_get("total")?,
        list_hash: hash
            .try_into()
            .map_err(|_| unreadable("list hash", "of another length"))?,
        status: RunStatus::from_name(status)
            .ok_or_else(|| unreadable("status of a payout run", status))?,
        approval_reason: row.try_get("approval_reason")?,
        started_by: Actor {
            name: row.try_get("started_by")?,
            host: row.try_get("started_from")?,
        },
        started_at: row.try_get("started_at")?,
        approved_by: actor(row.try_get("approved_by")?, row.try_get("approved_from")?),
        approved_at: row.try_get("approved_at")?,
        cancelled_by: row.try_get("cancelled_by")?,
        cancel_reason: row.try_get("cancel_reason")?,
        finished_at: row.try_get("finished_at")?,
        tally: tally_of(row)?,
    })
}

/// Freezes a run, unless there is one of that key: whether it is new.
///
/// # Errors
/// Where the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    run: &NewRun<'_>,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let status = match run.approval_reason {
        Some(_) => RunStatus::Waiting,
        None => RunStatus::Running,
    };
    let done = sqlx::query(
        "INSERT INTO payout_runs (
             ledger_id, key, source, currency, count, total, list_hash, status, approval_reason,
             started_by, started_from, started_at, updated_at, in_background
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)
         ON CONFLICT ON CONSTRAINT payout_runs_pkey DO NOTHING",
    )
    .bind(ledger_id)
    .bind(run.key)
    .bind(run.source.as_str())
    .bind(run.currency.code())
    .bind(run.count)
    .bind(run.total)
    .bind(run.list_hash.as_slice())
    .bind(status.as_str())
    .bind(run.approval_reason)
    .bind(&actor.name)
    .bind(&actor.host)
    .bind(now)
    .bind(run.in_background)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The run of that key.
///
/// # Errors
/// Where the database fails.
pub async fn find(conn: &mut PgConnection, ledger_id: i32, key: &str) -> sqlx::Result<Option<Run>> {
    sqlx::query(runs!("WHERE r.ledger_id = $1 AND r.key = $2"))
        .bind(ledger_id)
        .bind(key)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(run_of)
        .transpose()
}

/// Runs, those started last first, behind the one started then under that key.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    ledger_id: i32,
    status: Option<RunStatus>,
    after: Option<&(OffsetDateTime, String)>,
    limit: i64,
) -> sqlx::Result<Vec<Run>> {
    sqlx::query(runs!(
        "WHERE r.ledger_id = $1 AND ($2::text IS NULL OR r.status = $2)
           AND ($3::timestamptz IS NULL OR (r.started_at, r.key) < ($3, $4))
         ORDER BY r.ledger_id DESC, r.started_at DESC, r.key DESC LIMIT $5"
    ))
    .bind(ledger_id)
    .bind(status.map(RunStatus::as_str))
    .bind(after.map(|(at, _)| *at))
    .bind(after.map(|(_, key)| key.as_str()))
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(run_of)
    .collect()
}

/// Keeps a run as it stands until the end of the transaction: its status; `None` where there is
/// none of that key.
///
/// # Errors
/// Where the database fails.
pub async fn lock_row(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
) -> sqlx::Result<Option<RunStatus>> {
    let status: Option<String> = sqlx::query_scalar(
        "SELECT status FROM payout_runs WHERE ledger_id = $1 AND key = $2 FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(key)
    .fetch_optional(conn)
    .await?;
    let known = |name: String| {
        RunStatus::from_name(&name).ok_or_else(|| unreadable("status of a payout run", &name))
    };
    status.map(known).transpose()
}

/// Lets a run that waits pay: whether it waited. That whoever approves did not start it is seen to
/// by the constraint `payout_runs_approved_by_another`.
///
/// # Errors
/// Where the database fails.
pub async fn approve(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
    in_background: bool,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payout_runs
         SET status = 'running', approved_by = $3, approved_from = $4, approved_at = $5,
             updated_at = $5, in_background = $6
         WHERE ledger_id = $1 AND key = $2 AND status = 'waiting'",
    )
    .bind(ledger_id)
    .bind(key)
    .bind(&actor.name)
    .bind(&actor.host)
    .bind(now)
    .bind(in_background)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a run up that is not over: whether it was not.
///
/// # Errors
/// Where the database fails.
pub async fn cancel(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
    reason: &str,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payout_runs
         SET status = 'cancelled', cancelled_by = $3, cancel_reason = $4, finished_at = $5,
             updated_at = $5, in_background = false
         WHERE ledger_id = $1 AND key = $2 AND status IN ('waiting', 'running')",
    )
    .bind(ledger_id)
    .bind(key)
    .bind(&actor.name)
    .bind(reason)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a run that pays and of whose items none waits any more: whether it ended now.
///
/// # Errors
/// Where the database fails.
pub async fn finish(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payout_runs r
         SET status = 'finished', finished_at = $3, updated_at = $3, in_background = false
         WHERE r.ledger_id = $1 AND r.key = $2 AND r.status = 'running'
           AND NOT EXISTS (
               SELECT FROM payout_run_items i
               LEFT JOIN payouts p ON p.ledger_id = i.ledger_id AND p.id = i.payout_id
               WHERE i.ledger_id = r.ledger_id AND i.run_key = r.key
                 AND (i.status = 'waiting' OR p.status IN ('requested', 'sent')))",
    )
    .bind(ledger_id)
    .bind(key)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says whether aegisd is to work on a run that pays: whether it does pay.
///
/// # Errors
/// Where the database fails.
pub async fn set_in_background(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
    in_background: bool,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE payout_runs SET in_background = $3, updated_at = $4
         WHERE ledger_id = $1 AND key = $2 AND status = 'running'",
    )
    .bind(ledger_id)
    .bind(key)
    .bind(in_background)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A run that pays, of whichever ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paying {
    /// The ledger.
    pub ledger: Ledger,
    /// The run's key.
    pub key: String,
    /// Whether aegisd is to work on it.
    pub in_background: bool,
}

/// All runs that pay, in all ledgers.
///
/// # Errors
/// Where the database fails.
pub async fn paying(conn: &mut PgConnection) -> sqlx::Result<Vec<Paying>> {
    sqlx::query(
        "SELECT r.ledger_id, l.name, r.key::text AS key, r.in_background
         FROM payout_runs r JOIN ledgers l ON l.id = r.ledger_id
         WHERE r.status = 'running' ORDER BY r.started_at",
    )
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        let name: &str = row.try_get("name")?;
        Ok(Paying {
            ledger: Ledger {
                id: row.try_get("ledger_id")?,
                name: name.parse().map_err(|_| unreadable("ledger", name))?,
            },
            key: row.try_get("key")?,
            in_background: row.try_get("in_background")?,
        })
    })
    .collect()
}
