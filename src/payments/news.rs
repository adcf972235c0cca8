//! What is told of payments.

use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Options, PaymentError};
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::discrepancies::{self, Finding, Sum};
use crate::postgres::outbox::{self, News};
use crate::postgres::payments::Payment;
use crate::view::PaymentView;

/// An event about a payment as it stands.
pub(super) fn news(event_type: EventType, ledger: &Ledger, payment: &Payment) -> News {
    let view = PaymentView::new(ledger, payment).without_customer();
    News {
        event_type,
        subject: payment.id.to_string(),
        correlation_id: payment.correlation_id.clone(),
        traceparent: payment.traceparent.clone(),
        // Texts and numbers can always be written.
        payload: serde_json::to_string(&view).unwrap_or_default(),
    }
}

/// Tells one event.
pub(super) async fn tell(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    event_type: EventType,
    payment: &Payment,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let news = [news(event_type, ledger, payment)];
    outbox::tell(conn, ledger.id, &options.topic_settlements, &news, now).await
}

/// Writes a discrepancy down and, where it is new, tells it.
pub(super) async fn amiss(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    finding: &Finding<'_>,
    correlation_id: Option<&str>,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    if !discrepancies::open(conn, ledger.id, finding, now).await? {
        return Ok(());
    }
    let sum = |sum: &Option<Sum>| match sum {
        Some(sum) => json!({"amount": sum.amount, "currency": sum.currency}),
        None => Value::Null,
    };
    let subject = finding.subject.map(|(_, id)| id.to_string());
    let reference = finding.reference.map(str::to_owned);
    let payload = json!({
        "ledger": ledger.name.as_str(),
        "class": finding.class.as_str(),
        "source": finding.source,
        "psp": finding.psp,
        "reference": finding.reference,
        "subject_kind": finding.subject.map(|(kind, _)| kind),
        "subject_id": &subject,
        "expected": sum(&finding.expected),
        "found": sum(&finding.found),
        "detail": finding.detail,
    });
    let news = News {
        event_type: EventType::DiscrepancyOpened,
        subject: subject
            .or(reference)
            .unwrap_or_else(|| finding.identity.to_owned()),
        correlation_id: correlation_id.map(str::to_owned),
        traceparent: None,
        payload: payload.to_string(),
    };
    outbox::tell(conn, ledger.id, &options.topic_settlements, &[news], now).await?;
    Ok(())
}
