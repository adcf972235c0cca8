//! What people decide about a run: to approve of it, to give it up, to go on with it.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{Refusal, RunError, RunKey, news};
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::atomically;
use crate::postgres::audit::{Actor, NotAnother, second_person};
use crate::postgres::payout_runs::{self as rows, Run, RunStatus, items};

/// What came of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is decided; the run as it stands now.
    Now(Run),
    /// There was nothing to decide any more.
    Before(Run),
    /// A rule says no; nothing was done.
    Refused(Refusal),
}

/// Lets a run that waits pay, for somebody who did not start it. The payments are made by whoever
/// goes on with it.
///
/// # Errors
/// [`RunError::Database`].
pub async fn approve(
    pool: &PgPool,
    topic: &str,
    ledger: &Ledger,
    key: &RunKey,
    in_background: bool,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Decided, RunError> {
    atomically!(pool, |conn| let_pay(
        conn,
        topic,
        ledger,
        key,
        in_background,
        actor,
        now
    ))
}

async fn let_pay(
    conn: &mut PgConnection,
    topic: &str,
    ledger: &Ledger,
    key: &RunKey,
    in_background: bool,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Decided, RunError> {
    let run = match locked(conn, ledger, key).await? {
        Ok(run) => run,
        Err(refusal) => return Ok(Decided::Refused(refusal)),
    };
    match run.status {
        RunStatus::Running | RunStatus::Finished => return Ok(Decided::Before(run)),
        RunStatus::Cancelled => return Ok(Decided::Refused(cancelled(&run))),
        RunStatus::Waiting => {}
    }
    if let Some(refusal) = approval_by(&run, actor) {
        return Ok(Decided::Refused(refusal));
    }
    rows::approve(conn, ledger.id, key.as_str(), in_background, actor, now).await?;
    let run = found(conn, ledger, key).await?;
    let reason = run.approval_reason.as_deref();
    news::note(
        conn,
        ledger,
        &run,
        "payout_run.approved",
        reason,
        actor,
        now,
    )
    .await?;
    let event = EventType::PayoutRunStarted;
    news::tell(conn, topic, ledger, &run, event, now).await?;
    Ok(Decided::Now(run))
}

/// Gives a run up: what was not requested yet is not paid. What was requested goes on.
///
/// # Errors
/// [`RunError::Database`].
pub async fn cancel(
    pool: &PgPool,
    topic: &str,
    ledger: &Ledger,
    key: &RunKey,
    reason: &str,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Decided, RunError> {
    atomically!(pool, |conn| give_up(
        conn, topic, ledger, key, reason, actor, now
    ))
}

async fn give_up(
    conn: &mut PgConnection,
    topic: &str,
    ledger: &Ledger,
    key: &RunKey,
    reason: &str,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Decided, RunError> {
    let run = match locked(conn, ledger, key).await? {
        Ok(run) => run,
        Err(refusal) => return Ok(Decided::Refused(refusal)),
    };
    if run.status == RunStatus::Cancelled {
        return Ok(Decided::Before(run));
    }
    let left = items::not_requested(conn, ledger.id, key.as_str()).await?;
    if left.is_empty() {
        let detail = format!(
            "all payouts of payout run {key} are requested: there is nothing left to give up"
        );
        return Ok(Decided::Refused(Refusal::new("nothing_to_cancel", detail)));
    }
    rows::cancel(conn, ledger.id, key.as_str(), reason, actor, now).await?;
    items::cancel(conn, ledger.id, key.as_str(), now).await?;
    let run = found(conn, ledger, key).await?;
    let (action, reason) = ("payout_run.cancelled", Some(reason));
    news::note(conn, ledger, &run, action, reason, actor, now).await?;
    let event = EventType::PayoutRunFinished;
    news::tell(conn, topic, ledger, &run, event, now).await?;
    Ok(Decided::Now(run))
}

/// Writes down that somebody goes on with a run, or has aegisd do so. `None` leaves that as it is.
///
/// # Errors
/// [`RunError::Database`].
pub async fn resume(
    pool: &PgPool,
    ledger: &Ledger,
    key: &RunKey,
    in_background: Option<bool>,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Decided, RunError> {
    atomically!(pool, |conn| go_on(
        conn,
        ledger,
        key,
        in_background,
        actor,
        now
    ))
}

async fn go_on(
    conn: &mut PgConnection,
    ledger: &Ledger,
    key: &RunKey,
    in_background: Option<bool>,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Decided, RunError> {
    let run = match locked(conn, ledger, key).await? {
        Ok(run) => run,
        Err(refusal) => return Ok(Decided::Refused(refusal)),
    };
    match run.status {
        RunStatus::Finished => return Ok(Decided::Before(run)),
        RunStatus::Cancelled => return Ok(Decided::Refused(cancelled(&run))),
        RunStatus::Waiting => return Ok(Decided::Refused(approval_needed(&run))),
        RunStatus::Running => {}
    }
    if let Some(in_background) = in_background {
        rows::set_in_background(conn, ledger.id, key.as_str(), in_background, now).await?;
    }
    news::note(conn, ledger, &run, "payout_run.resumed", None, actor, now).await?;
    Ok(Decided::Now(run))
}

/// Ends a run of which nothing waits any more: the run as it stands, where there is one.
///
/// # Errors
/// [`RunError::Database`].
pub(super) async fn conclude(
    pool: &PgPool,
    topic: &str,
    ledger: &Ledger,
    key: &str,
    now: OffsetDateTime,
) -> Result<Option<Run>, RunError> {
    atomically!(pool, |conn| end(conn, topic, ledger, key, now))
}

async fn end(
    conn: &mut PgConnection,
    topic: &str,
    ledger: &Ledger,
    key: &str,
    now: OffsetDateTime,
) -> Result<Option<Run>, RunError> {
    if rows::finish(conn, ledger.id, key, now).await? {
        let run = rows::find(conn, ledger.id, key).await?;
        let run = run.ok_or(sqlx::Error::RowNotFound)?;
        let event = EventType::PayoutRunFinished;
        news::tell(conn, topic, ledger, &run, event, now).await?;
        return Ok(Some(run));
    }
    Ok(rows::find(conn, ledger.id, key).await?)
}

async fn locked(
    conn: &mut PgConnection,
    ledger: &Ledger,
    key: &RunKey,
) -> sqlx::Result<Result<Run, Refusal>> {
    match rows::lock_row(conn, ledger.id, key.as_str()).await? {
        Some(_) => Ok(Ok(found(conn, ledger, key).await?)),
        None => Ok(Err(not_found(ledger, key.as_str()))),
    }
}

async fn found(conn: &mut PgConnection, ledger: &Ledger, key: &RunKey) -> sqlx::Result<Run> {
    let run = rows::find(conn, ledger.id, key.as_str()).await?;
    run.ok_or(sqlx::Error::RowNotFound)
}

/// There is no such run.
#[must_use]
pub fn not_found(ledger: &Ledger, key: &str) -> Refusal {
    let shown: String = key.chars().take(128).collect();
    let detail = format!(
        "there is no payout run {shown:?} in ledger {}: `aegisctl payout run list` shows them",
        ledger.name
    );
    Refusal::new("payout_run_not_found", detail)
}

/// It was given up, and nothing more is paid under its key.
#[must_use]
pub fn cancelled(run: &Run) -> Refusal {
    let detail = format!(
        "payout run {} was cancelled by {}: start what is to be paid under another key",
        run.key,
        run.cancelled_by.as_deref().unwrap_or("somebody")
    );
    Refusal::new("payout_run_cancelled", detail)
}

/// Why somebody can't approve of a run.
#[must_use]
pub fn approval_by(run: &Run, actor: &Actor) -> Option<Refusal> {
    let (key, starter) = (&run.key, &run.started_by.name);
    let (code, detail) = match second_person(starter, &actor.name).err()? {
        NotAnother::Same => (
            "approver_is_starter",
            format!(
                "{starter} started payout run {key} and can't approve of it as well, by whatever \
                 name ({}): somebody else has to",
                actor.name
            ),
        ),
        NotAnother::SecondUnknown => (
            "approver_unknown",
            format!(
                "who wants to approve of payout run {key} can't be told from the name {:?}: approve \
                 from an account that has a name, over HTTP with a User-Agent",
                actor.name
            ),
        ),
        NotAnother::FirstUnknown => (
            "starter_unknown",
            format!(
                "who started payout run {key} can't be told from the name {starter:?}, so that \
                 nobody is known to be another: cancel it, and start it under another key from an \
                 account that has a name, over HTTP with a User-Agent"
            ),
        ),
    };
    Some(Refusal::new(code, detail))
}

/// Why a run can't be gone on with, where it waits.
#[must_use]
pub fn approval_missing(run: &Run) -> Option<Refusal> {
    (run.status == RunStatus::Waiting).then(|| approval_needed(run))
}

fn approval_needed(run: &Run) -> Refusal {
    let detail = format!(
        "payout run {} waits for approval, since {}: somebody other than {} approves with \
         `aegisctl payout run approve --key {}`",
        run.key,
        run.approval_reason
            .as_deref()
            .unwrap_or("it is over a limit"),
        run.started_by.name,
        run.key
    );
    Refusal::new("approval_needed", detail)
}
