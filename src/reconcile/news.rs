//! Events of runs, and of what they found.

use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Options;
use crate::discrepancy;
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::outbox::{self, News};
use crate::postgres::reconciliations::{self as lines, Reconciliation, Scope};

/// How many events are written at once.
const EVENTS_AT_ONCE: i64 = 1_000;

/// How many discrepancies a run opened and closed.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) opened: i64,
    pub(super) resolved: i64,
}

pub(super) async fn tell_changes(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Told> {
    let (mut told, mut after) = (Told::default(), 0);
    loop {
        let changes = lines::news(conn, scope, reconciliation, now, after, EVENTS_AT_ONCE).await?;
        let events: Vec<News> = changes
            .iter()
            .map(|change| match change {
                lines::News::Opened(it) => {
                    told.opened = told.opened.saturating_add(1);
                    after = it.id;
                    let class = it.class.as_str();
                    metrics::counter!(
                        "aegis_discrepancies_total", "class" => class, "source" => "reconciliation"
                    )
                    .increment(1);
                    discrepancy::news(EventType::DiscrepancyOpened, ledger, it)
                }
                lines::News::Resolved(it) => {
                    told.resolved = told.resolved.saturating_add(1);
                    after = it.id;
                    discrepancy::news(EventType::DiscrepancyResolved, ledger, it)
                }
            })
            .collect();
        if events.is_empty() {
            return Ok(told);
        }
        outbox::tell(conn, ledger.id, &options.topic_settlements, &events, now).await?;
    }
}

pub(super) async fn tell_finished(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    run: &Reconciliation,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    if run.opened > 0 {
        let (wallet, opened) = (&run.wallet, run.opened);
        tracing::error!(wallet, opened, id = %run.id, "reconciliation found discrepancies");
    }
    let payload = json!({
        "ledger": ledger.name.as_str(),
        "reconciliation_id": run.id,
        "wallet": run.wallet,
        "format": run.format,
        "lines": run.lines,
        "known": run.known,
        "pending": run.pending,
        "broken": run.broken,
        "matched": run.matched,
        "opened": run.opened,
        "resolved": run.resolved,
    });
    let news = News {
        event_type: EventType::ReconciliationFinished,
        subject: run.id.to_string(),
        correlation_id: None,
        traceparent: None,
        payload: payload.to_string(),
    };
    outbox::tell(conn, ledger.id, &options.topic_settlements, &[news], now).await
}
