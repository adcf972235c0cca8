//! One step of one refund: it is written that it is taken, the call made outside of any transaction,
//! and what was learned is written.
//!
//! While a call is under way the refund's next attempt stands behind the lease, so that nobody else
//! takes the step. Whoever finds one that is being sent behind its lease takes it for one that may
//! have been.

use std::time::Instant;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::apply::News;
use super::case::{Case, news as event};
use super::listed::Listed;
use super::timing::Step;
use super::{Options, Refund, RefundError, RefundStatus};
use crate::event::EventType;
use crate::ledger::{Ledger, later, whole_microseconds};
use crate::postgres::payments::Payment;
use crate::postgres::refunds::lookups;
use crate::postgres::{atomically, outbox, payments, refunds};
use crate::psp::{self, Psp, PspError};
use crate::telemetry::caused_by;
use crate::telemetry::span::{Kind, Span};
use crate::transit::Learned;

/// Does the one step that is due for a refund, if one is: sends it, or reads the PSP's list. Holds no
/// transaction during the call. Gives the refund as it stands then.
///
/// # Errors
/// [`RefundError`]. Where the database fails after the call, what was learned is lost, and the next
/// step asks the PSP.
pub async fn advance<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Refund, RefundError> {
    go(pool, options, psp, ledger, id, false, now).await
}

/// Reads the PSP's list for a refund, whether that is due or not; one that was never sent is sent if
/// that is due. One that is being sent at this moment is given as it stands.
///
/// # Errors
/// [`RefundError`].
pub async fn requery<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Refund, RefundError> {
    go(pool, options, psp, ledger, id, true, now).await
}

async fn go<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    id: Uuid,
    asked: bool,
    now: OffsetDateTime,
) -> Result<Refund, RefundError> {
    let begun: Result<Begun, RefundError> = atomically!(pool, |conn| begin_one(
        conn, options, ledger, id, asked, now
    ));
    match begun? {
        Begun::Nothing(refund) => Ok(*refund),
        Begun::Call(call) => carry_out(pool, options, psp, ledger, *call).await,
    }
}

/// A call that is to be made now.
#[derive(Debug)]
pub(super) struct Call {
    refund: Refund,
    payment: Payment,
    step: Step,
    started_at: OffsetDateTime,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Begun {
    Nothing(Box<Refund>),
    Call(Box<Call>),
}

async fn begin_one(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    id: Uuid,
    asked: bool,
    now: OffsetDateTime,
) -> Result<Begun, RefundError> {
    let locked = refunds::lock(conn, ledger.id, id).await?;
    let refund = locked.ok_or(RefundError::NotFound(id))?;
    begin(conn, options, ledger, refund, asked, now).await
}

/// Decides on the step of a locked refund and writes that it is taken. `asked`: somebody wants to
/// know how it stands now, whether that is due or not.
pub(super) async fn begin(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    mut refund: Refund,
    asked: bool,
    now: OffsetDateTime,
) -> Result<Begun, RefundError> {
    let (now, before) = (whole_microseconds(now), refund.status);
    let is_due = refund.next_attempt_at.is_some_and(|due| due <= now);
    let is_being_sent = refund.sending_since.is_some() && !is_due;
    if !refund.status.is_open() || is_being_sent || !(is_due || asked) {
        return Ok(Begun::Nothing(Box::new(refund)));
    }
    let was_lost = give_up_lost(&mut refund, now);
    let step = match options.timing.step(&refund, now) {
        // Nothing of it can be at the PSP.
        Some(Step::Send) if !is_due => return Ok(Begun::Nothing(Box::new(refund))),
        Some(step) => step,
        None => return Ok(Begun::Nothing(Box::new(refund))),
    };
    refund.attempts = refund.attempts.saturating_add(1);
    refund.next_attempt_at = Some(later(now, options.timing.lease));
    refund.updated_at = now;
    if step == Step::Send {
        refund.sending_since = Some(now);
    }
    refunds::update(conn, ledger.id, before, &refund).await?;
    if was_lost && before != refund.status {
        let news = [event(ledger, &refund, EventType::RefundUnknown)?];
        outbox::tell(conn, ledger.id, &options.topic_settlements, &news, now).await?;
    }
    let payment = payments::find(conn, ledger.id, refund.payment_id).await?;
    let payment = payment.ok_or(RefundError::PaymentNotFound(refund.payment_id))?;
    Ok(Begun::Call(Box::new(Call {
        refund,
        payment,
        step,
        started_at: now,
    })))
}

/// A call that sends it and whose lease is over: nobody comes back from it. Whether there was one.
pub(super) fn give_up_lost(refund: &mut Refund, now: OffsetDateTime) -> bool {
    if refund.sending_since.take().is_none() {
        return false;
    }
    refund.doubtful_until = refund.doubtful_until.max(Some(now));
    refund.last_error = Some("nobody came back from the call that was to send it".to_owned());
    if refund.status == RefundStatus::Requested {
        refund.status = RefundStatus::Unknown;
        refund.waits = 0;
    }
    true
}

/// Makes the call and writes down what came of it.
pub(super) async fn carry_out<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    call: Call,
) -> Result<Refund, RefundError> {
    let traceparent = call.refund.traceparent.as_deref();
    let span = Span::going_on(traceparent, Kind::Internal, "advance refund");
    if span.is_recorded() {
        span.set("aegis.refund", call.refund.id.to_string());
    }
    let work = call_and_conclude(pool, options, psp, ledger, &call);
    let correlation_id = call.refund.correlation_id.as_deref();
    caused_by(correlation_id, traceparent, span.within(work)).await
}

async fn call_and_conclude<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    call: &Call,
) -> Result<Refund, RefundError> {
    let clock = Instant::now();
    let answer = match call.step {
        Step::Send => Answer::Sent(psp.refund(&wanted(call)).await),
        Step::Ask => {
            let psp_id = call.payment.psp_id.as_deref().unwrap_or_default();
            Answer::Listed(psp.refunds_of(psp_id).await)
        }
    };
    let now = later(call.started_at, clock.elapsed());
    let concluded: Result<Refund, RefundError> = atomically!(pool, |conn| conclude(
        conn, options, ledger, call, &answer, now
    ));
    let error = match concluded {
        Ok(refund) => return Ok(refund),
        Err(error @ RefundError::Refused { .. }) => error,
        Err(error) => return Err(error),
    };
    let why = error.to_string();
    tracing::warn!(%error, refund = %call.refund.id, "what the PSP said can't be booked yet");
    atomically!(pool, |conn| put_off(conn, options, ledger, call, &why, now))
}

/// What was learned can't be booked: the PSP is asked again later.
async fn put_off(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    call: &Call,
    why: &str,
    now: OffsetDateTime,
) -> Result<Refund, RefundError> {
    let id = call.refund.id;
    let locked = refunds::lock(conn, ledger.id, id).await?;
    let mut refund = locked.ok_or(RefundError::NotFound(id))?;
    let before = refund.status;
    if !before.is_open() {
        return Ok(refund);
    }
    if call.step == Step::Send {
        // A list comes first, whatever this call was answered.
        refund.doubtful_until = refund.doubtful_until.max(Some(now));
        refund.not_known_at = None;
        refund.sending_since = None;
    }
    refund.last_error = Some(why.to_owned());
    refund.next_attempt_at = Some(later(now, options.timing.poll));
    refund.updated_at = now;
    refunds::update(conn, ledger.id, before, &refund).await?;
    Ok(refund)
}

async fn conclude(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    call: &Call,
    answer: &Answer,
    now: OffsetDateTime,
) -> Result<Refund, RefundError> {
    let id = call.refund.id;
    let mut case = Case::open(conn, options, ledger, call.payment.id, now).await?;
    let listed = match answer {
        Answer::Listed(Ok(list)) => case.take_in_list(conn, list).await?,
        _ => Listed::default(),
    };
    if listed.waits {
        lookups::wish(conn, ledger.id, call.payment.id, &call.payment.psp, now).await?;
    }
    let found = case.refunds.iter().find(|refund| refund.id == id);
    let refund = found.cloned().ok_or(RefundError::NotFound(id))?;
    if listed.ours.contains(&id) {
        return Ok(refund);
    }
    match answer.news(&refund, options, call) {
        Some(news) => {
            let news = News {
                doubt: (news.learned == Learned::Doubtful).then_some(now),
                ..news
            };
            Ok(case.learn(conn, &refund, &news).await?.0)
        }
        None => Ok(refund),
    }
}

fn wanted(call: &Call) -> psp::NewRefund {
    let (refund, payment) = (&call.refund, &call.payment);
    psp::NewRefund {
        payment_reference: payment.reference.clone(),
        amount: refund.amount,
        currency: refund.currency,
        customer_note: refund.customer_note.clone(),
        merchant_note: Some(refund.id.to_string()),
    }
}

/// What the PSP answered.
#[derive(Debug)]
enum Answer {
    Sent(Result<psp::Refund, PspError>),
    Listed(Result<Vec<psp::Refund>, PspError>),
}

impl Answer {
    /// What it says of the refund, which a list doesn't show. Where somebody took the call for lost in
    /// the meantime, that it did nothing says nothing of others.
    fn news(&self, refund: &Refund, options: &Options, call: &Call) -> Option<News<'static>> {
        let is_ours = refund.sending_since == Some(call.started_at);
        let error = match self {
            Self::Sent(Ok(entry)) => {
                let mut news = News::seen(entry, "query");
                news.ends_sending = is_ours;
                return Some(news);
            }
            Self::Listed(Ok(_)) => {
                let is_stale =
                    refund.status != call.refund.status || refund.attempts != call.refund.attempts;
                // One that is being sent by now may be there a moment later, and a list from before
                // whatever happened since says nothing now.
                if refund.sending_since.is_some() || is_stale {
                    return None;
                }
                let may_send = options.timing.may_send(refund, call.started_at);
                let news = News::new(Learned::NotKnown { may_send }, "query");
                return Some(news.because("the PSP's list doesn't show it"));
            }
            Self::Sent(Err(error)) | Self::Listed(Err(error)) => error,
        };
        let learned = match (self, error) {
            (Self::Listed(_), _) => Learned::Unanswered,
            (_, PspError::ReferenceTaken { .. } | PspError::Unknown { .. }) => Learned::Doubtful,
            _ if !is_ours => return None,
            (_, PspError::Refused { .. }) => Learned::Refused,
            _ => Learned::NotSent,
        };
        let mut news = News::new(learned, "query").because(error.to_string());
        news.ends_sending = matches!(self, Self::Sent(_)) && is_ours;
        news.retry_after = match error {
            PspError::RateLimited { retry_after } => *retry_after,
            PspError::TurnedAway(turned) => Some(turned.retry_after),
            _ => None,
        };
        Some(news)
    }
}
