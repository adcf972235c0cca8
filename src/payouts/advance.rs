//! One step of one payout: the attempt is written, the call made outside of any transaction, and
//! what was learned is written.
//!
//! While a call is under way the payout's next attempt stands behind the lease, so that nobody else
//! takes the step. Whoever finds an attempt that sends, without an end and behind its lease, takes
//! it for one that may have happened.

use std::time::Instant;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::apply::{News, apply};
use super::{AttemptKind, Options, Outcome, Payout, PayoutError};
use crate::ledger::{Ledger, later, whole_microseconds};
use crate::merchant::MerchantStatus;
use crate::postgres::payouts::Doubt;
use crate::postgres::{atomically, merchants, payouts};
use crate::psp::{Lookup, NewTransfer, Psp, PspError, Transfer};
use crate::resilience::failpoint;
use crate::telemetry::caused_by;
use crate::telemetry::span::{Kind, Span};
use crate::transit::Learned;

/// Does the one step that is due for a payout, if one is: sends it, or asks the PSP how it stands.
/// Holds no transaction during the call. Gives the payout as it stands then.
///
/// # Errors
/// [`PayoutError`]. Where the database fails after the call, what was learned is lost, and the next
/// step asks the PSP.
pub async fn advance<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Payout, PayoutError> {
    let begun = atomically!(pool, |conn| begin_one(conn, options, ledger, id, None, now))?;
    match begun {
        Begun::Nothing(payout) => Ok(*payout),
        Begun::Call(call) => carry_out(pool, options, psp, ledger, *call, now).await,
    }
}

/// A call that is to be made now.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) payout: Payout,
    kind: AttemptKind,
    number: i32,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Begun {
    Nothing(Box<Payout>),
    Call(Box<Call>),
}

/// Locks a payout and [begins](begin) with its step.
pub(super) async fn begin_one(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    id: Uuid,
    asked: Option<AttemptKind>,
    now: OffsetDateTime,
) -> Result<Begun, PayoutError> {
    let payout = lock(conn, ledger, id).await?;
    begin(conn, options, ledger, payout, asked, now).await
}

/// Decides on the step of a locked payout and writes its attempt. `asked`: a question that somebody
/// wants to be put now, whether it is due or not.
pub(super) async fn begin(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    mut payout: Payout,
    asked: Option<AttemptKind>,
    now: OffsetDateTime,
) -> Result<Begun, PayoutError> {
    let now = whole_microseconds(now);
    let is_due = payout.next_attempt_at.is_some_and(|due| due <= now);
    if is_due {
        payout = give_up_lost(conn, options, ledger, payout, now).await?;
    } else if asked.is_some() && is_being_sent(conn, ledger, payout.id).await? {
        // Its answer comes, or its lease ends.
        return Ok(Begun::Nothing(Box::new(payout)));
    }
    let step = options.timing.step(&payout, now);
    let Some(kind) = asked.or(step.filter(|_| is_due)) else {
        return Ok(Begun::Nothing(Box::new(payout)));
    };
    let before = payout.status;
    if kind == AttemptKind::Send && is_frozen(conn, ledger, &payout).await? {
        let told = format!("merchant {} is frozen: nothing is sent", payout.merchant);
        payout.last_error = Some(told);
        payout.next_attempt_at = Some(later(now, options.timing.poll));
        payout.updated_at = now;
        payouts::update(conn, ledger.id, before, &payout).await?;
        return Ok(Begun::Nothing(Box::new(payout)));
    }
    payout.attempts = payout.attempts.saturating_add(1);
    if is_due {
        payout.next_attempt_at = Some(later(now, options.timing.lease));
    }
    payouts::update(conn, ledger.id, before, &payout).await?;
    let number = payout.attempts;
    payouts::begin_attempt(conn, ledger.id, payout.id, number, kind, &options.host, now).await?;
    Ok(Begun::Call(Box::new(Call {
        payout,
        kind,
        number,
    })))
}

/// Whether a call that sends it has no end yet.
pub(super) async fn is_being_sent(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
) -> sqlx::Result<bool> {
    let open = payouts::open_attempts(conn, ledger.id, id).await?;
    Ok(open.iter().any(|attempt| attempt.kind == AttemptKind::Send))
}

async fn is_frozen(
    conn: &mut PgConnection,
    ledger: &Ledger,
    payout: &Payout,
) -> sqlx::Result<bool> {
    let merchant = merchants::find(conn, ledger.id, &payout.merchant).await?;
    Ok(merchant.is_some_and(|merchant| merchant.status == MerchantStatus::Frozen))
}

/// An attempt without an end whose lease is over: nobody comes back from it.
pub(super) async fn give_up_lost(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    mut payout: Payout,
    now: OffsetDateTime,
) -> Result<Payout, PayoutError> {
    for lost in payouts::open_attempts(conn, ledger.id, payout.id).await? {
        let detail = format!("nobody came back from the call on {}", lost.host);
        let (number, outcome) = (lost.number, Outcome::Lost);
        payouts::end_attempt(
            conn,
            ledger.id,
            payout.id,
            number,
            outcome,
            Some(&detail),
            now,
        )
        .await?;
        if lost.kind == AttemptKind::Send {
            let mut news = News::new(Learned::Doubtful, "query").because(detail);
            news.doubt = Some(Doubt {
                since: lost.started_at,
                until: now,
            });
            // The question follows at once: it has waited for the lease already.
            let due = payout.next_attempt_at;
            (payout, _) = apply(conn, options, ledger, payout, &news, now).await?;
            payout.next_attempt_at = payout.next_attempt_at.and(due);
        }
    }
    Ok(payout)
}

/// Makes the call and writes down what came of it.
pub(super) async fn carry_out<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    call: Call,
    started_at: OffsetDateTime,
) -> Result<Payout, PayoutError> {
    let traceparent = call.payout.traceparent.as_deref();
    let span = Span::going_on(traceparent, Kind::Internal, "advance payout");
    if span.is_recorded() {
        span.set("aegis.payout", call.payout.id.to_string());
    }
    let work = call_and_conclude(pool, options, psp, ledger, &call, started_at);
    let correlation_id = call.payout.correlation_id.as_deref();
    caused_by(correlation_id, traceparent, span.within(work)).await
}

async fn call_and_conclude<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    call: &Call,
    started_at: OffsetDateTime,
) -> Result<Payout, PayoutError> {
    let clock = Instant::now();
    failpoint::reach(failpoint::PAYOUT_CALLS);
    let answer = match call.kind {
        AttemptKind::Send => Answer::Sent(psp.transfer(&transfer(&call.payout)).await),
        AttemptKind::Ask => Answer::Asked(psp.verify_transfer(&call.payout.reference).await),
    };
    failpoint::reach(failpoint::PAYOUT_CALLED);
    let now = later(started_at, clock.elapsed());
    let concluded: Result<Payout, PayoutError> = atomically!(pool, |conn| conclude(
        conn, options, ledger, call, &answer, started_at, now
    ));
    if let Err(error @ PayoutError::Refused { .. }) = &concluded {
        let why = error.to_string();
        atomically!(pool, |conn| put_off(
            conn, options, ledger, call, &answer, &why, now
        ))?;
    }
    let payout = concluded?;
    failpoint::reach(failpoint::PAYOUT_CONCLUDED);
    Ok(payout)
}

/// The ledger refused to book what was learned: the PSP is asked again later.
async fn put_off(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    call: &Call,
    answer: &Answer,
    why: &str,
    now: OffsetDateTime,
) -> Result<(), PayoutError> {
    let (id, number) = (call.payout.id, call.number);
    let mut payout = lock(conn, ledger, id).await?;
    let (outcome, detail) = answer.outcome();
    let detail = detail.as_deref();
    payouts::end_attempt(conn, ledger.id, id, number, outcome, detail, now).await?;
    if !payout.status.is_open() {
        return Ok(());
    }
    if call.kind == AttemptKind::Send {
        // A question comes first, whatever this call was answered.
        payout.doubt = payout.doubt.or(Some(Doubt {
            since: now,
            until: now,
        }));
        payout.not_known_at = None;
    }
    payout.last_error = Some(why.to_owned());
    payout.next_attempt_at = Some(later(now, options.timing.poll));
    payout.updated_at = now;
    payouts::update(conn, ledger.id, payout.status, &payout).await?;
    Ok(())
}

async fn conclude(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    call: &Call,
    answer: &Answer,
    started_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Payout, PayoutError> {
    let (id, number) = (call.payout.id, call.number);
    let payout = lock(conn, ledger, id).await?;
    let (outcome, detail) = answer.outcome();
    let detail = detail.as_deref();
    let is_first = payouts::end_attempt(conn, ledger.id, id, number, outcome, detail, now).await?;
    // Asked before whatever happened since: that the PSP did not know it then, or did not answer, says
    // nothing now.
    let is_stale = payout.attempts != number || payout.status != call.payout.status;
    if is_stale && matches!(answer, Answer::Asked(Ok(Lookup::NotKnown) | Err(_))) {
        return Ok(payout);
    }
    let Some(mut news) = answer.news(&payout, options, is_first, started_at) else {
        return Ok(payout);
    };
    if news.learned == Learned::Doubtful {
        news.doubt = Some(Doubt {
            since: started_at,
            until: now,
        });
    }
    let (payout, _) = apply(conn, options, ledger, payout, &news, now).await?;
    failpoint::reach(failpoint::PAYOUT_CONCLUDES);
    Ok(payout)
}

pub(super) async fn lock(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
) -> Result<Payout, PayoutError> {
    let locked = payouts::lock(conn, ledger.id, id).await?;
    locked.ok_or(PayoutError::NotFound(id))
}

fn transfer(payout: &Payout) -> NewTransfer {
    NewTransfer {
        reference: payout.reference.clone(),
        amount: payout.amount,
        currency: payout.currency,
        recipient: payout.recipient.clone(),
        reason: payout.label.clone(),
    }
}

/// What the PSP answered.
#[derive(Debug)]
enum Answer {
    Sent(Result<Transfer, PspError>),
    Asked(Result<Lookup<Transfer>, PspError>),
}

impl Answer {
    /// As it is written into the attempt.
    fn outcome(&self) -> (Outcome, Option<String>) {
        let seen = |transfer: &Transfer| {
            let (status, detail) = (transfer.status.as_str(), transfer.detail.as_deref());
            let detail = detail.map_or_else(|| status.to_owned(), |d| format!("{status}: {d}"));
            (Outcome::Seen, Some(detail))
        };
        match self {
            Self::Sent(Ok(transfer)) | Self::Asked(Ok(Lookup::Known(transfer))) => seen(transfer),
            Self::Asked(Ok(Lookup::NotKnown)) => (Outcome::NotKnown, None),
            Self::Asked(Err(error)) => (Outcome::Unanswered, Some(error.to_string())),
            Self::Sent(Err(error)) => {
                let outcome = match error {
                    PspError::Refused { .. } => Outcome::Refused,
                    PspError::ReferenceTaken { .. } => Outcome::ReferenceTaken,
                    PspError::Unknown { .. } => Outcome::Unclear,
                    PspError::Unreachable { .. }
                    | PspError::RateLimited { .. }
                    | PspError::TurnedAway(_) => Outcome::NotSent,
                };
                (outcome, Some(error.to_string()))
            }
        }
    }

    /// What it says of the payout. `is_first`: nobody took the attempt for lost in the meantime;
    /// else that this call did nothing says nothing of the others.
    fn news(
        &self,
        payout: &Payout,
        options: &Options,
        is_first: bool,
        asked_at: OffsetDateTime,
    ) -> Option<News<'static>> {
        let error = match self {
            Self::Sent(Ok(transfer)) | Self::Asked(Ok(Lookup::Known(transfer))) => {
                return Some(News::seen(transfer.clone(), "query"));
            }
            Self::Asked(Ok(Lookup::NotKnown)) => {
                let may_send = options.timing.may_send(payout, asked_at);
                let learned = Learned::NotKnown { may_send };
                let news = News::new(learned, "query");
                return Some(news.because("the PSP doesn't know the reference"));
            }
            Self::Asked(Err(error)) | Self::Sent(Err(error)) => error,
        };
        let learned = match (self, error) {
            (Self::Asked(_), _) => Learned::Unanswered,
            (_, PspError::ReferenceTaken { .. } | PspError::Unknown { .. }) => Learned::Doubtful,
            _ if !is_first => return None,
            (_, PspError::Refused { .. }) => Learned::Refused,
            _ => Learned::NotSent,
        };
        let mut news = News::new(learned, "query").because(error.to_string());
        news.retry_after = match error {
            PspError::RateLimited { retry_after } => *retry_after,
            PspError::TurnedAway(turned) => Some(turned.retry_after),
            _ => None,
        };
        Some(news)
    }
}
