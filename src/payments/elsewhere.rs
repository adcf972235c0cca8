//! What a PSP tells about money that goes back or out: handed to who sees to it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::outcome::Source;
use super::{Options, PaymentError, news};
use crate::payouts::{self, Applied};
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::psp_references::{self, SubjectKind};
use crate::postgres::webhooks::Fate;
use crate::psp::{Dispute, Refund, Subject, Transfer};
use crate::refunds;

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
        Subject::Refund(refund) => of_refund(conn, options, refund, now).await,
        Subject::Dispute(dispute) => of_dispute(conn, options, dispute, now).await,
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

async fn of_refund(
    conn: &mut PgConnection,
    options: &Options,
    refund: &Refund,
    now: OffsetDateTime,
) -> Result<Fate, PaymentError> {
    let reference = refund.payment_reference.as_deref().unwrap_or_default();
    let Some(payment) = payment(conn, options, reference).await? else {
        let sum = Sum {
            amount: refund.amount,
            currency: refund.currency.to_string(),
        };
        let status = &refund.status;
        let detail = format!("the PSP tells of a refund ({status}) of a payment that is none here");
        let id = refund.id.as_deref().unwrap_or_default();
        let identity = format!("{}:refund:{reference}:{id}", options.psp);
        unknown(conn, options, reference, &identity, sum, &detail, now).await?;
        return Ok(Fate::Discrepancy);
    };
    let (ledger, id) = (&payment.ledger, payment.id);
    let applied = refunds::apply_refund(conn, &options.refunds, ledger, id, refund, now).await?;
    Ok(fate(applied))
}

async fn of_dispute(
    conn: &mut PgConnection,
    options: &Options,
    dispute: &Dispute,
    now: OffsetDateTime,
) -> Result<Fate, PaymentError> {
    let reference = &dispute.payment_reference;
    let Some(payment) = payment(conn, options, reference).await? else {
        let sum = Sum {
            amount: dispute.refund_amount.unwrap_or(dispute.payment_amount),
            currency: dispute.currency.to_string(),
        };
        let detail = "the PSP tells of a dispute about a payment that is none here";
        let identity = format!("{}:dispute:{}", options.psp, dispute.id);
        unknown(conn, options, reference, &identity, sum, detail, now).await?;
        return Ok(Fate::Discrepancy);
    };
    let (ledger, id) = (&payment.ledger, payment.id);
    let applied =
        refunds::apply_dispute(conn, &options.refunds, ledger, id, dispute, "webhook", now).await?;
    Ok(fate(applied))
}

async fn payment(
    conn: &mut PgConnection,
    options: &Options,
    reference: &str,
) -> sqlx::Result<Option<psp_references::Subject>> {
    let found = psp_references::find(conn, &options.psp, reference).await?;
    Ok(found.filter(|subject| subject.kind == SubjectKind::Payment))
}

const fn fate(applied: refunds::Applied) -> Fate {
    match applied {
        refunds::Applied::Done => Fate::Applied,
        refunds::Applied::Ignored => Fate::Ignored,
        refunds::Applied::Discrepancy => Fate::Discrepancy,
    }
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
