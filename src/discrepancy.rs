//! What does not agree between the ledger and the world: written down once, and told.

use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::discrepancies::{self, Discrepancy, Finding, Sum};
use crate::postgres::outbox::{self, News};

/// What a finding belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The correlation id of what it is about.
    pub correlation_id: Option<&'a str>,
    /// Its W3C trace context.
    pub traceparent: Option<&'a str>,
}

/// Writes a finding down and, where it is new, tells it on `topic`.
///
/// # Errors
/// Where the database fails.
pub async fn report(
    conn: &mut PgConnection,
    ledger: &Ledger,
    topic: &str,
    finding: &Finding<'_>,
    context: Context<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let Some(id) = discrepancies::open(conn, ledger.id, finding, now).await? else {
        return Ok(());
    };
    let (subject_kind, subject_id) = finding.subject.unzip();
    let told = Told {
        ledger: ledger.name.as_str(),
        discrepancy_id: id,
        class: finding.class.as_str(),
        source: finding.source,
        psp: finding.psp,
        reference: finding.reference,
        subject_kind,
        subject_id,
        expected: finding.expected.as_ref().map(SumTold::of),
        found: finding.found.as_ref().map(SumTold::of),
        detail: finding.detail,
        transaction_id: None,
        reason: None,
        resolved_by: None,
    };
    let news = News {
        correlation_id: context.correlation_id.map(str::to_owned),
        traceparent: context.traceparent.map(str::to_owned),
        ..told.news(EventType::DiscrepancyOpened)
    };
    outbox::tell(conn, ledger.id, topic, &[news], now).await
}

/// An event about a discrepancy that is written down.
#[must_use]
pub fn news(event_type: EventType, ledger: &Ledger, it: &Discrepancy) -> News {
    let (subject_kind, subject_id) = it.subject.as_ref().map(|(kind, id)| (&**kind, *id)).unzip();
    let told = Told {
        ledger: ledger.name.as_str(),
        discrepancy_id: it.id,
        class: it.class.as_str(),
        source: &it.source,
        psp: it.psp.as_deref(),
        reference: it.reference.as_deref(),
        subject_kind,
        subject_id,
        expected: it.expected.as_ref().map(SumTold::of),
        found: it.found.as_ref().map(SumTold::of),
        detail: &it.detail,
        transaction_id: it.transaction_id,
        reason: it.reason.as_deref(),
        resolved_by: it.resolved_by.as_deref(),
    };
    told.news(event_type)
}

/// The payload of `aegis.discrepancy.opened` and `aegis.discrepancy.resolved`.
#[derive(Serialize)]
struct Told<'a> {
    ledger: &'a str,
    discrepancy_id: i64,
    class: &'a str,
    source: &'a str,
    psp: Option<&'a str>,
    reference: Option<&'a str>,
    subject_kind: Option<&'a str>,
    subject_id: Option<Uuid>,
    expected: Option<SumTold<'a>>,
    found: Option<SumTold<'a>>,
    detail: &'a str,
    transaction_id: Option<Uuid>,
    reason: Option<&'a str>,
    resolved_by: Option<&'a str>,
}

#[derive(Serialize)]
struct SumTold<'a> {
    amount: i64,
    currency: &'a str,
}

impl<'a> SumTold<'a> {
    fn of(sum: &'a Sum) -> Self {
        Self {
            amount: sum.amount,
            currency: &sum.currency,
        }
    }
}

impl Told<'_> {
    /// Keyed by what it is about, so that it comes in order with what happens to that.
    fn news(&self, event_type: EventType) -> News {
        let subject = self.subject_id.map(|id| id.to_string());
        let reference = || self.reference.map(str::to_owned);
        News {
            event_type,
            subject: subject
                .or_else(reference)
                .unwrap_or_else(|| format!("discrepancy:{}", self.discrepancy_id)),
            correlation_id: None,
            traceparent: None,
            // Texts and numbers can always be written.
            payload: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}
