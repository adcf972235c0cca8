//! Asking for a refund: its money into transit, its row and its event, in the caller's COMMIT.

use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::case::{Case, Wallets};
use super::{NewRefund, Options, Refund, RefundError, RefundStatus, Requested};
use crate::event::EventType;
use crate::ledger::{Ledger, RejectionCode, whole_microseconds};
use crate::merchant::house;
use crate::postgres::payments::PaymentStatus;
use crate::postgres::refunds::{self, Asked, Origin};
use crate::postgres::{atomically, payments};

/// Asks for a refund in a transaction of its own.
///
/// # Errors
/// [`RefundError`].
pub async fn request_now(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    new: &NewRefund,
    now: OffsetDateTime,
) -> Result<Requested, RefundError> {
    atomically!(pool, |conn| request(conn, options, ledger, new, now))
}

/// Asks for a refund within the caller's transaction, which is to be rolled back on an error and may
/// be committed on a rejection: that is found before anything is written.
///
/// The rules, in the order in which they are looked at: `idempotency_key_reused`,
/// `amount_not_positive`, `payment_not_found`, `payment_not_paid`, `payment_disputed`,
/// `refund_exceeds_payment`, `insufficient_funds`, and what the ledger itself says no to, such as
/// `wallet_frozen`.
///
/// # Errors
/// [`RefundError`]. A unique violation, which [`crate::postgres::Undone`] knows, means that somebody
/// else was first with the key: run it again.
pub async fn request(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    new: &NewRefund,
    now: OffsetDateTime,
) -> Result<Requested, RefundError> {
    let (hash, now) = (fingerprint(new), whole_microseconds(now));
    if let Some((before, of)) = refunds::by_key(conn, ledger.id, new.key.as_str()).await? {
        return Ok(same_or_reused(new, before, of == hash));
    }
    if new.amount.is_some_and(|amount| amount <= 0) {
        let amount = new.amount.unwrap_or_default();
        return Ok(rejected(
            RejectionCode::AmountNotPositive.as_str(),
            format!("the amount {amount} is not above 0"),
        ));
    }
    if payments::find(conn, ledger.id, new.payment_id)
        .await?
        .is_none()
    {
        return Ok(rejected(
            "payment_not_found",
            format!(
                "there is no payment {} in ledger {}: list them with `aegisctl payment list`",
                new.payment_id, ledger.name
            ),
        ));
    }
    let mut case = Case::open(conn, options, ledger, new.payment_id, now).await?;
    // The same request may have come in at the same time, and be what left nothing to refund.
    if let Some((before, of)) = refunds::by_key(conn, ledger.id, new.key.as_str()).await? {
        return Ok(same_or_reused(new, before, of == hash));
    }
    let amount = match amount(&case, new) {
        Ok(amount) => amount,
        Err((code, detail)) => return Ok(rejected(code, detail)),
    };
    let (terms, wallets) = (*case.terms.refund(), case.lock_wallets(conn).await?);
    let mut refund = draft(&case, new, amount);
    refund.borne = case.borne(&terms, amount, &wallets)?;
    if !wallets.cover(&terms, &refund.borne) {
        return Ok(short_of_funds(&case, &refund, &wallets));
    }
    let posting = case.take(&refund, "requested", house::refunds_in_transit());
    if let Err(rejection) = case.post(conn, posting).await? {
        return Ok(rejected(rejection.code.as_str(), rejection.to_string()));
    }
    let asked = Asked {
        key: new.key.as_str(),
        hash: &hash,
    };
    refunds::insert(conn, ledger.id, &refund, Some(asked)).await?;
    case.put(refund.clone());
    case.write_payment(conn, None).await?;
    case.tell_refund(conn, &refund, EventType::RefundRequested)
        .await?;
    Ok(Requested::Now(refund))
}

/// A code, and in words.
type No = (&'static str, String);

/// How much goes back, or why nothing does.
fn amount(case: &Case<'_>, new: &NewRefund) -> Result<i64, No> {
    let payment = &case.payment;
    if !payment.status.is_paid() {
        return Err((
            "payment_not_paid",
            format!(
                "payment {} is {}: only what was paid can be given back",
                payment.id,
                payment.status.as_str()
            ),
        ));
    }
    if payment.status == PaymentStatus::Disputed {
        return Err((
            "payment_disputed",
            format!(
                "payment {} is disputed, so that its money may go back by the dispute: refund it \
                 once that is decided",
                payment.id
            ),
        ));
    }
    let left = case.left();
    let amount = new.amount.unwrap_or(left);
    match amount > 0 && amount <= left {
        true => Ok(amount),
        false => Err((
            "refund_exceeds_payment",
            format!(
                "of the {} {} of payment {}, {} went back or are on their way back: {left} are left \
                 to refund",
                payment.amount, payment.currency, payment.id, payment.refunded
            ),
        )),
    }
}

fn short_of_funds(case: &Case<'_>, refund: &Refund, wallets: &Wallets) -> Requested {
    let (wallet, below) = (
        case.payment.merchant.wallet(case.purse()),
        case.terms.refund().below_zero_max(),
    );
    rejected(
        RejectionCode::InsufficientFunds.as_str(),
        format!(
            "{wallet} has {} {currency}, the merchant bears {} of the refund, and its terms let \
             refunds take it {below} below 0: refund less, or after further payments",
            wallets.spendable,
            refund.borne.merchant(),
            currency = refund.currency
        ),
    )
}

fn same_or_reused(new: &NewRefund, before: Refund, is_same: bool) -> Requested {
    match is_same {
        true => Requested::Before(before),
        false => rejected(
            RejectionCode::IdempotencyKeyReused.as_str(),
            format!(
                "the key {:?} stands for refund {} of {} {} of payment {}: take another key for \
                 another refund",
                new.key.as_str(),
                before.id,
                before.amount,
                before.currency,
                before.payment_id
            ),
        ),
    }
}

fn rejected(code: &'static str, detail: String) -> Requested {
    Requested::Rejected { code, detail }
}

fn draft(case: &Case<'_>, new: &NewRefund, amount: i64) -> Refund {
    let payment = &case.payment;
    let of_payment = || payment.correlation_id.clone();
    Refund {
        customer_note: new.customer_note.clone(),
        correlation_id: new.correlation_id.clone().or_else(of_payment),
        traceparent: new.traceparent.clone(),
        requested_by: new.requested_by.clone(),
        status: RefundStatus::Requested,
        next_attempt_at: Some(case.now),
        ..case.blank(Origin::Request, amount)
    }
}

/// What makes a request another one. Who asks and what it belongs to may differ in a repeat.
fn fingerprint(new: &NewRefund) -> [u8; 32] {
    let id: &Uuid = &new.payment_id;
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update([
        u8::from(new.amount.is_some()),
        u8::from(new.customer_note.is_some()),
    ]);
    hash.update(new.amount.unwrap_or_default().to_be_bytes());
    hash.update(new.customer_note.as_deref().unwrap_or_default());
    hash.finalize().into()
}
