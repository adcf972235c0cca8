//! What is told of runs: on the bus, and in the audit log.

use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::list::hex;
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::outbox::{self, News};
use crate::postgres::payout_runs::Run;

/// The members of a run that scripts and services rely on.
pub(super) fn told(run: &Run, ledger: &Ledger) -> Value {
    let tally = &run.tally;
    json!({
        "key": run.key,
        "ledger": ledger.name.as_str(),
        "status": run.status.as_str(),
        "count": run.count,
        "total": run.total,
        "currency": run.currency.code(),
        "list_hash": hex(&run.list_hash),
        "succeeded": tally.succeeded.count,
        "failed": tally.failed.count,
        "unknown": tally.unknown.count,
        "waiting": tally.waiting.count,
        "cancelled": tally.cancelled.count,
        "approval_reason": run.approval_reason,
        "started_by": run.started_by.name,
        "approved_by": run.approved_by.as_ref().map(|actor| &actor.name),
    })
}

/// Tells on the bus how a run stands. Its row is locked.
pub(super) async fn tell(
    conn: &mut PgConnection,
    topic: &str,
    ledger: &Ledger,
    run: &Run,
    event_type: EventType,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let news = News {
        event_type,
        subject: format!("payout_run:{}", run.key),
        correlation_id: None,
        traceparent: None,
        payload: told(run, ledger).to_string(),
    };
    outbox::tell(conn, ledger.id, topic, &[news], now).await
}

/// Writes down who decided what about a run.
pub(super) async fn note(
    conn: &mut PgConnection,
    ledger: &Ledger,
    run: &Run,
    action: &str,
    reason: Option<&str>,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let deed = Deed {
        at: now,
        actor,
        action,
        target: &format!("payout_run:{}/{}", ledger.name, run.key),
        reason,
        detail: Some(&told(run, ledger)),
    };
    audit::record(conn, deed).await
}

/// `KES`, `KES and NGN`, `KES, NGN and USD`.
pub(super) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}
