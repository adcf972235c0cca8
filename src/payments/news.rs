//! What is told of payments.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Options, PaymentError};
use crate::discrepancy::{self, Context};
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::discrepancies::Finding;
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
    let context = Context {
        correlation_id,
        ..Context::default()
    };
    let topic = &options.topic_settlements;
    discrepancy::report(conn, ledger, topic, finding, context, now).await?;
    Ok(())
}
