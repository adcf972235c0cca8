//! What the PSP says and the payout's state does not bear out.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::apply::News;
use super::{Options, Payout, PayoutError};
use crate::discrepancy::{self, Context};
use crate::ledger::{Currency, Ledger};
use crate::postgres::discrepancies::{Class, Finding, Sum};

/// Writes a discrepancy down and, where it is new, tells it.
pub(super) async fn disagree(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    payout: &Payout,
    class: Class,
    news: &News<'_>,
    now: OffsetDateTime,
) -> Result<(), PayoutError> {
    let sum = |amount: i64, currency: Currency| Sum {
        amount,
        currency: currency.code().to_owned(),
    };
    let transfer = news.transfer.as_ref();
    let word = transfer.map_or("not known", |transfer| transfer.status.as_str());
    let status = payout.status.as_str();
    let found = transfer.map(|transfer| sum(transfer.amount, transfer.currency));
    let told = match &found {
        Some(found) => format!("{word}, {} {}", found.amount, found.currency),
        None => word.to_owned(),
    };
    let detail = format!(
        "payout {} of {} {} stands as {status}; the PSP says {told}",
        payout.id, payout.amount, payout.currency
    );
    // One finding for what the PSP says, however often it is heard.
    let identity = format!("payout:{}:{status}:{told}", payout.id);
    let finding = Finding {
        class,
        source: news.source,
        identity: &identity,
        psp: Some(&payout.psp),
        reference: Some(&payout.reference),
        subject: Some(("payout", payout.id)),
        expected: Some(sum(payout.amount, payout.currency)),
        found,
        detail: &detail,
        occurred_at: None,
    };
    let context = Context {
        correlation_id: payout.correlation_id.as_deref(),
        traceparent: payout.traceparent.as_deref(),
    };
    let topic = &options.topic_settlements;
    discrepancy::report(conn, ledger, topic, &finding, context, now).await?;
    Ok(())
}
