//! Runs of replays as they are looked at from elsewhere: listed, watched, asked to stop.

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;

use super::error::DlqError;
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::dead_letters::lock;
use crate::postgres::dead_letters::replays::{self, Run, RunStatus};

/// What was done to a run, in the audit log.
pub(super) const STARTED: &str = "dead_letter_replay.started";
pub(super) const PUBLISHED: &str = "dead_letter_replay.published";
pub(super) const ENDED: &str = "dead_letter_replay.ended";
const CANCELLING: &str = "dead_letter_replay.cancel_requested";

/// A run's name in the audit log.
pub(super) fn target(id: i64) -> String {
    format!("dead_letter_replay:{id}")
}

/// A run with what is known of its end.
#[derive(Clone, Debug)]
pub struct Account {
    /// The run.
    pub run: Run,
    /// Why it ended, in words.
    pub ending: Option<String>,
    /// Whether it ended because the bus could not be reached.
    pub bus_away: bool,
    /// Letters that could not be replayed, the first of them, each with the reason.
    pub failures: Vec<(i64, String)>,
}

impl Account {
    fn new(run: Run, detail: Option<&Value>) -> Self {
        let detail = detail.unwrap_or(&Value::Null);
        let failures = detail["failures"].as_array().into_iter().flatten();
        Self {
            run,
            ending: detail["ending"].as_str().map(str::to_owned),
            bus_away: detail["bus_away"].as_bool().unwrap_or_default(),
            failures: failures
                .filter_map(|failure| {
                    let reason = failure["reason"].as_str()?.to_owned();
                    Some((failure["id"].as_i64()?, reason))
                })
                .collect(),
        }
    }
}

/// Runs, the newest first, before `before`. Those whose process died are marked.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    ledger: Option<&str>,
    before: Option<i64>,
    limit: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Run>> {
    replays::mark_interrupted(conn, now).await?;
    replays::page(conn, ledger, before, limit).await
}

/// A run; `None` where there is none of that number, or none that was confined to this ledger.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    id: i64,
    ledger: Option<&str>,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Account>> {
    replays::mark_interrupted(conn, now).await?;
    let Some(run) = replays::find(conn, id, ledger).await? else {
        return Ok(None);
    };
    let detail = match run.status {
        RunStatus::Running => None,
        _ => audit::last_detail(conn, &target(id), ENDED).await?,
    };
    Ok(Some(Account::new(run, detail.as_ref())))
}

/// Sees that no replay is at any of these topics now.
///
/// # Errors
/// [`DlqError::Busy`] where one is, [`DlqError::Database`].
pub async fn check_free(conn: &mut PgConnection, topics: &[String]) -> Result<(), DlqError> {
    let taken = lock::are_taken(conn, topics).await?;
    let busy = topics.iter().zip(taken).find(|(_, taken)| *taken);
    let Some((topic, _)) = busy else {
        return Ok(());
    };
    let by = replays::running_on(conn, topic).await?;
    Err(DlqError::busy(topic, by))
}

/// Asks a run to stop, which it does behind the batch at hand: whether it runs and nobody had asked
/// before.
///
/// # Errors
/// Where the database fails.
pub async fn cancel(
    conn: &mut PgConnection,
    id: i64,
    reason: Option<&str>,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let mut transaction = conn.begin().await?;
    let asked_now = replays::request_cancel(&mut transaction, id).await?;
    if asked_now {
        let deed = Deed {
            at: now,
            actor,
            action: CANCELLING,
            target: &target(id),
            reason,
            detail: None,
        };
        audit::record(&mut transaction, deed).await?;
    }
    transaction.commit().await?;
    Ok(asked_now)
}
