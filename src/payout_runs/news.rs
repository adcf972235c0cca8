//! What is told of runs: on the bus, and in the audit log.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::outbox::{self, News};
use crate::postgres::payout_runs::Run;
use crate::view::PayoutRunView;

/// Tells on the bus how a run stands. Its row is locked.
pub(super) async fn tell(
    conn: &mut PgConnection,
    topic: &str,
    ledger: &Ledger,
    run: &Run,
    event_type: EventType,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let view = PayoutRunView::new(ledger, run);
    let news = News {
        event_type,
        subject: format!("payout_run:{}", run.key),
        correlation_id: None,
        traceparent: None,
        payload: serde_json::to_string(&view).map_err(written)?,
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
    let detail = serde_json::to_value(PayoutRunView::new(ledger, run)).map_err(written)?;
    let deed = Deed {
        at: now,
        actor,
        action,
        target: &format!("payout_run:{}/{}", ledger.name, run.key),
        reason,
        detail: Some(&detail),
    };
    audit::record(conn, deed).await
}

fn written(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
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
