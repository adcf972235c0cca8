//! The PSP opens a payment.
//!
//! Only the first call is made without asking first. Whatever ended it, whether with a word or not,
//! the next attempt asks the PSP whether it knows the reference before it opens it.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::outcome::{self, Source, Told};
use super::{Options, PaymentError, news};
use crate::event::EventType;
use crate::ledger::Ledger;
use crate::postgres::atomically;
use crate::postgres::payments::{self, Payment, PaymentStatus};
use crate::postgres::webhooks::Fate;
use crate::psp::{self, Checkout, Lookup, Psp, PspError};

/// How long to stay away from a PSP that takes no more calls and doesn't say for how long.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(5);

/// Makes the PSP's call that is due for a payment in `created`: the payment as it stands then.
/// `is_first`: no process can have called it before.
///
/// # Errors
/// Where the database fails. What the PSP answers is in the row.
pub async fn open<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    payment: &Payment,
    is_first: bool,
    now: OffsetDateTime,
) -> Result<Payment, PaymentError> {
    let step = Step {
        pool,
        options,
        ledger,
        payment,
        now,
    };
    if !is_first {
        match psp.verify(&payment.reference).await {
            Ok(Lookup::Known(said)) => return step.taken_over(said).await,
            Ok(Lookup::NotKnown) => {}
            Err(error) => return step.failed(error).await,
        }
    }
    match psp.initialize(&new_payment(payment)).await {
        Ok(checkout) => step.opened(Some(&checkout)).await,
        Err(PspError::ReferenceTaken { .. }) => match psp.verify(&payment.reference).await {
            Ok(Lookup::Known(said)) => step.taken_over(said).await,
            Ok(Lookup::NotKnown) => {
                let reason = "it has the reference, and does not know it".to_owned();
                step.failed(PspError::Unknown { reason }).await
            }
            Err(error) => step.failed(error).await,
        },
        Err(error) => step.failed(error).await,
    }
}

/// Goes on with a payment that was asked for before, where a call is due: the payment as it stands
/// then.
///
/// # Errors
/// As [`open`].
pub async fn open_again<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    payment: Payment,
    now: OffsetDateTime,
) -> Result<Payment, PaymentError> {
    match claim(pool, options, ledger, &payment, now).await? {
        Some(claimed) => open(pool, options, psp, ledger, &claimed, false, now).await,
        None => Ok(payment),
    }
}

/// Takes a payment that is to be opened into this process's hands, if it is due.
pub(super) async fn claim(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<Option<Payment>, PaymentError> {
    if payment.status != PaymentStatus::Created {
        return Ok(None);
    }
    let until = now + options.lease;
    let (ledger_id, id) = (ledger.id, payment.id);
    let claimed: Result<_, sqlx::Error> = atomically!(pool, |conn| payments::claim_one(
        conn, ledger_id, id, until, now
    ));
    // Paid in the meantime, perhaps.
    Ok(claimed?.filter(|claimed| claimed.status == PaymentStatus::Created))
}

fn new_payment(payment: &Payment) -> psp::NewPayment {
    let metadata = payment.metadata.as_deref();
    psp::NewPayment {
        reference: payment.reference.clone(),
        email: payment.email.clone(),
        amount: payment.amount,
        currency: payment.currency,
        callback_url: payment.callback_url.clone(),
        metadata: metadata.and_then(|text| serde_json::from_str(text).ok()),
    }
}

/// A payment for which the PSP was called.
struct Step<'a> {
    pool: &'a PgPool,
    options: &'a Options,
    ledger: &'a Ledger,
    payment: &'a Payment,
    now: OffsetDateTime,
}

impl Step<'_> {
    async fn opened(&self, checkout: Option<&Checkout>) -> Result<Payment, PaymentError> {
        atomically!(self.pool, |conn| self.note_opened(conn, checkout))
    }

    async fn note_opened(
        &self,
        conn: &mut PgConnection,
        checkout: Option<&Checkout>,
    ) -> Result<Payment, PaymentError> {
        let (ledger, id, now) = (self.ledger, self.payment.id, self.now);
        let url = checkout.map(|checkout| checkout.url.as_str());
        let ask_at = now + self.options.ask_after;
        let was_waiting = payments::opened(conn, ledger.id, id, url, ask_at, now).await?;
        let payment = self.read(conn).await?;
        if was_waiting {
            let event = EventType::PaymentPending;
            news::tell(conn, self.options, ledger, event, &payment, now).await?;
        }
        Ok(payment)
    }

    /// An earlier call had opened it, and its answer was lost.
    async fn taken_over(&self, said: psp::Payment) -> Result<Payment, PaymentError> {
        let told = [Told {
            id: self.payment.id,
            source: Source::Query,
            said,
        }];
        atomically!(self.pool, |conn| self.note_taken_over(conn, &told))
    }

    async fn note_taken_over(
        &self,
        conn: &mut PgConnection,
        told: &[Told],
    ) -> Result<Payment, PaymentError> {
        let (options, ledger, now) = (self.options, self.ledger, self.now);
        let fates = outcome::apply(conn, options, ledger, told, now).await?;
        if fates.contains(&Fate::Discrepancy) {
            let reason = "the PSP has another payment under this reference";
            return self.conclude(conn, reason).await;
        }
        self.note_opened(conn, None).await
    }

    async fn failed(&self, error: PspError) -> Result<Payment, PaymentError> {
        let told = error.to_string();
        let attempts = self.payment.attempts.saturating_add(1);
        let (attempts, wait) = match error {
            PspError::Refused { .. } => (attempts, None),
            PspError::Unknown { .. }
            | PspError::Unreachable { .. }
            | PspError::ReferenceTaken { .. } => {
                (attempts, self.options.schedule.delay_after(attempts))
            }
            // Nobody was called, or nobody listened: that says nothing about the payment.
            PspError::RateLimited { retry_after } => {
                let wait = retry_after.unwrap_or(RATE_LIMIT_WAIT);
                (self.payment.attempts, self.while_young(wait))
            }
            PspError::TurnedAway(turned) => {
                (self.payment.attempts, self.while_young(turned.retry_after))
            }
        };
        match wait {
            Some(wait) => atomically!(self.pool, |conn| self.wait(conn, attempts, wait, &told)),
            None => atomically!(self.pool, |conn| self.conclude(conn, &told)),
        }
    }

    async fn wait(
        &self,
        conn: &mut PgConnection,
        attempts: u32,
        wait: Duration,
        told: &str,
    ) -> Result<Payment, PaymentError> {
        let (ledger, id, now) = (self.ledger, self.payment.id, self.now);
        let (from, next) = (PaymentStatus::Created, now + wait);
        payments::postpone(conn, ledger.id, id, from, attempts, next, Some(told), now).await?;
        Ok(self.read(conn).await?)
    }

    /// A wait, unless the payment is too old to be waited for.
    fn while_young(&self, wait: Duration) -> Option<Duration> {
        let young = self.now - self.payment.created_at < self.options.abandon_after;
        young.then_some(wait)
    }

    async fn conclude(
        &self,
        conn: &mut PgConnection,
        reason: &str,
    ) -> Result<Payment, PaymentError> {
        let (ledger, id, now) = (self.ledger, self.payment.id, self.now);
        let step = (PaymentStatus::Created, PaymentStatus::Failed);
        let done = payments::conclude(conn, ledger.id, id, step, Some(reason), now).await?;
        let payment = self.read(conn).await?;
        if done {
            let event = EventType::PaymentFailed;
            news::tell(conn, self.options, ledger, event, &payment, now).await?;
        }
        Ok(payment)
    }

    async fn read(&self, conn: &mut PgConnection) -> sqlx::Result<Payment> {
        let found = payments::find(conn, self.ledger.id, self.payment.id).await?;
        found.ok_or(sqlx::Error::RowNotFound)
    }
}
