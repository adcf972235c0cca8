//! Payments that nothing was heard of: the PSP is asked.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::outcome::{self, Source, Told};
use super::{Options, PaymentError, news, open};
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::atomically;
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::payments::{self, Claimed, Payment, PaymentStatus};
use crate::psp::{self, Lookup, Psp, PspError};
use crate::telemetry::caused_by;
use crate::telemetry::span::{Kind, Span};

/// Payments for which the PSP is called at the same time: as many as are claimed together, so that
/// none waits while its lease runs.
const AT_ONCE: usize = 8;
const CLAIM_MAX: i64 = 8;
/// After how long a question is put again that was not answered.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// Does what is due for some payments: how many it took.
///
/// # Errors
/// Where the database fails.
pub async fn sweep<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    now: OffsetDateTime,
) -> Result<usize, PaymentError> {
    let until = now + options.lease;
    let claimed: Result<_, sqlx::Error> = atomically!(pool, |conn| payments::claim_due(
        conn,
        psp.name(),
        until,
        CLAIM_MAX,
        now
    ));
    let claimed = claimed?;
    let count = claimed.len();
    let steps = stream::iter(
        claimed
            .into_iter()
            .map(|Claimed { ledger, payment }| async move {
                let traceparent = payment.traceparent.as_deref();
                let span = Span::going_on(traceparent, Kind::Internal, "see to payment");
                let step = async {
                    let done = match payment.status {
                        PaymentStatus::Created => {
                            open(pool, options, psp, &ledger, &payment, false, now).await
                        }
                        _ => ask(pool, options, psp, &ledger, &payment, now).await,
                    };
                    if let Err(error) = done {
                        // Its lease ends, and it is due again.
                        error.tell("a payment could not be looked after", payment.id);
                    }
                };
                let correlation_id = payment.correlation_id.as_deref();
                caused_by(correlation_id, traceparent, span.within(step)).await;
            }),
    );
    steps.buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(count)
}

/// Asks the PSP how a payment stands, and applies the answer: the payment as it stands then. One
/// that is pending and that nobody paid for too long is given up.
///
/// # Errors
/// [`PaymentError::Psp`] where the PSP does not answer; as of [`outcome::apply`].
pub async fn ask<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<Payment, PaymentError> {
    let asked = Instant::now();
    let answer = psp.verify(&payment.reference).await;
    // To the second, as waits are.
    let now = now + Duration::from_secs(asked.elapsed().as_secs());
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let (pending, attempts) = (PaymentStatus::Pending, payment.attempts);
            let (next, told) = (now + again_after(options, &error), error.to_string());
            let (ledger, id, told) = (ledger.id, payment.id, Some(told.as_str()));
            let noted: Result<_, sqlx::Error> = atomically!(pool, |conn| payments::postpone(
                conn, ledger, id, pending, attempts, next, told, now
            ));
            noted?;
            return Err(error.into());
        }
    };
    atomically!(pool, |conn| take_in(
        conn, options, ledger, payment, &answer, now
    ))
}

async fn take_in(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    asked: &Payment,
    answer: &Lookup<psp::Payment>,
    now: OffsetDateTime,
) -> Result<Payment, PaymentError> {
    let mut given_up = PaymentStatus::Abandoned;
    match answer {
        Lookup::Known(said) => {
            if said.status == psp::PaymentStatus::Failed {
                given_up = PaymentStatus::Failed;
            }
            let told = [Told {
                id: asked.id,
                source: Source::Query,
                said: said.clone(),
            }];
            outcome::apply(conn, options, ledger, &told, now).await?;
        }
        // It had opened it, or it was paid.
        Lookup::NotKnown if asked.status == PaymentStatus::Pending || asked.status.is_paid() => {
            missing(conn, options, ledger, asked, now).await?;
        }
        Lookup::NotKnown => {}
    }
    let found = payments::find(conn, ledger.id, asked.id).await?;
    let payment = found.ok_or(sqlx::Error::RowNotFound)?;
    if payment.status != PaymentStatus::Pending {
        return Ok(payment);
    }
    let gives_up_at = payment.created_at + options.abandon_after;
    let (id, from) = (payment.id, PaymentStatus::Pending);
    if now < gives_up_at {
        let attempts = payment.attempts.saturating_add(1);
        let next = (now + wait_after(options, attempts)).min(gives_up_at);
        payments::postpone(conn, ledger.id, id, from, attempts, next, None, now).await?;
    } else if payments::conclude(conn, ledger.id, id, (from, given_up), None, now).await? {
        let event = match given_up {
            PaymentStatus::Failed => EventType::PaymentFailed,
            _ => EventType::PaymentAbandoned,
        };
        let found = payments::find(conn, ledger.id, id).await?;
        let payment = found.ok_or(sqlx::Error::RowNotFound)?;
        news::tell(conn, options, ledger, event, &payment, now).await?;
        return Ok(payment);
    }
    let found = payments::find(conn, ledger.id, id).await?;
    Ok(found.ok_or(sqlx::Error::RowNotFound)?)
}

async fn missing(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let finding = Finding {
        class: Class::MissingThere,
        source: Source::Query.as_str(),
        identity: &format!("{}:{}", options.psp, payment.reference),
        psp: Some(&options.psp),
        reference: Some(&payment.reference),
        subject: Some(("payment", payment.id)),
        expected: Some(Sum {
            amount: payment.amount,
            currency: payment.currency.to_string(),
        }),
        found: None,
        detail: "the PSP does not know a payment that it had opened",
        occurred_at: None,
    };
    let correlation_id = payment.correlation_id.as_deref();
    news::amiss(conn, options, ledger, &finding, correlation_id, now).await
}

/// Each wait is twice as long as the one before.
fn wait_after(options: &Options, attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.min(16));
    options.ask_after.saturating_mul(doubled)
}

fn again_after(options: &Options, error: &PspError) -> Duration {
    let wait = match error {
        PspError::RateLimited {
            retry_after: Some(wait),
        } => *wait,
        PspError::TurnedAway(turned) => turned.retry_after,
        _ => AGAIN_MAX.min(options.ask_after),
    };
    wait.max(Duration::from_secs(1))
}

/// Asks the PSP about a payment now, however it stands: the payment as it stands then; `None`: there
/// is no such payment.
///
/// # Errors
/// As [`ask`].
pub async fn requery<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Option<Payment>, PaymentError> {
    let found: Result<_, sqlx::Error> =
        atomically!(pool, |conn| payments::find(conn, ledger.id, id));
    let Some(payment) = found? else {
        return Ok(None);
    };
    match payment.status {
        PaymentStatus::Created => open(pool, options, psp, ledger, &payment, false, now).await,
        _ => ask(pool, options, psp, ledger, &payment, now).await,
    }
    .map(Some)
}
