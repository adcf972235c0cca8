//! What a PSP tells about money that goes back or out: handed to who sees to it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::outcome::Source;
use super::{Options, PaymentError, news};
use crate::payouts::{self, Applied};
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::psp_references::{self, SubjectKind};
use crate::postgres::webhooks::Fate;
use crate::psp::{Subject, Transfer};

/// Applies an event that is about no payment, within the webhook's transaction.
///
/// # Errors
/// As of who sees to it; the caller rolls back.
pub(super) async fn apply(
    conn: &mut PgConnection,
    options: &Options,
    subject: &Subject,
    now: OffsetDateTime,
) -> Result<Fate, PaymentError> {
    match subject {
        Subject::Transfer(transfer) => of_transfer(conn, options, transfer, now).await,
        Subject::Refund(_) | Subject::Dispute(_) => Ok(Fate::Later),
        // Payments are applied together, before.
        Subject::Payment(_) | Subject::Other => Ok(Fate::Ignored),
    }
}

async fn of_transfer(
    conn: &mut PgConnection,
    options: &Options,
    transfer: &Transfer,
    now: OffsetDateTime,
) -> Result<Fate, PaymentError> {
    let found = psp_references::find(conn, &options.psp, &transfer.reference).await?;
    let Some(payout) = found.filter(|subject| subject.kind == SubjectKind::Payout) else {
        let sum = Sum {
            amount: transfer.amount,
            currency: transfer.currency.to_string(),
        };
        let detail = format!(
            "the PSP tells of a transfer ({}) that was never asked for here",
            transfer.status
        );
        let identity = format!("{}:{}:{}", options.psp, transfer.reference, transfer.code);
        unknown(
            conn,
            options,
            &transfer.reference,
            &identity,
            sum,
            &detail,
            now,
        )
        .await?;
        return Ok(Fate::Discrepancy);
    };
    let (ledger, id) = (&payout.ledger, payout.id);
    let applied = payouts::apply_transfer(conn, &options.payouts, ledger, id, transfer, now);
    Ok(match applied.await? {
        Applied::Done => Fate::Applied,
        Applied::Ignored => Fate::Ignored,
        Applied::Discrepancy => Fate::Discrepancy,
    })
}

/// The PSP tells of something that nobody here knows.
async fn unknown(
    conn: &mut PgConnection,
    options: &Options,
    reference: &str,
    identity: &str,
    found: Sum,
    detail: &str,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let finding = Finding {
        class: Class::UnknownReference,
        source: Source::Webhook.as_str(),
        identity,
        psp: Some(&options.psp),
        reference: Some(reference),
        subject: None,
        expected: None,
        found: Some(found),
        detail,
        occurred_at: None,
    };
    news::amiss(conn, options, &options.ledger, &finding, None, now).await
}
