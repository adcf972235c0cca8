//! The PSP's desk in a running daemon: takes payments and webhooks in, and sees to what is due.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::opening::claim;
use super::webhook::{self, Received};
use super::{Created, NewPayment, Options, PaymentError, create, open, requery, sweep};
use crate::ledger::Ledger;
use crate::postgres::payments::Payment;
use crate::postgres::{STEP_MAX, in_time};
use crate::psp::Paystack;
use crate::resilience::rounds::Rounds;
use crate::telemetry::span;

/// How long its parts may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long whoever asks for a payment waits for the PSP's answer.
    pub open_wait: Duration,
    /// How long the workers sleep when nothing is due and nobody wakes them.
    pub poll: Duration,
}

/// A PSP with all that its payments need. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Desk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    options: Options,
    psp: Paystack,
    pace: Pace,
    /// A webhook came in.
    arrived: Notify,
    /// Calls to the PSP that nobody waits for any more.
    calls: TaskTracker,
}

impl Desk {
    /// Works on the database through `pool`, whose connections post.
    #[must_use]
    pub fn new(pool: PgPool, options: Options, psp: Paystack, pace: Pace) -> Self {
        Self {
            shared: Arc::new(Shared {
                pool,
                options,
                psp,
                pace,
                arrived: Notify::new(),
                calls: TaskTracker::new(),
            }),
        }
    }

    /// The PSP.
    #[must_use]
    pub fn psp(&self) -> &Paystack {
        &self.shared.psp
    }

    /// Makes a payment and has the PSP open it. Where that takes long, the payment is given as it
    /// stands, and the call goes on.
    ///
    /// # Errors
    /// As [`create`].
    pub async fn create(&self, ledger: &Ledger, new: &NewPayment) -> Result<Created, PaymentError> {
        let Shared { pool, options, .. } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        Ok(match create(pool, options, ledger, new, now).await? {
            Created::Now(payment) => Created::Now(self.open(ledger, payment, true).await?),
            Created::Before(payment) => Created::Before(self.go_on(ledger, payment).await?),
            rejected => rejected,
        })
    }

    /// Opens a payment that was asked for before, where that is due.
    async fn go_on(&self, ledger: &Ledger, payment: Payment) -> Result<Payment, PaymentError> {
        let Shared { pool, options, .. } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        match claim(pool, options, ledger, &payment, now).await? {
            Some(claimed) => self.open(ledger, claimed, false).await,
            None => Ok(payment),
        }
    }

    async fn open(
        &self,
        ledger: &Ledger,
        payment: Payment,
        is_first: bool,
    ) -> Result<Payment, PaymentError> {
        let (shared, of, asked) = (Arc::clone(&self.shared), ledger.clone(), payment.clone());
        let call = self.shared.calls.spawn(span::carried(async move {
            let Shared {
                pool, options, psp, ..
            } = &*shared;
            let now = OffsetDateTime::now_utc();
            open(pool, options, psp, &of, &asked, is_first, now).await
        }));
        match tokio::time::timeout(self.shared.pace.open_wait, call).await {
            Ok(Ok(Ok(opened))) => Ok(opened),
            // The payment is made all the same; a worker goes on with it.
            Ok(Ok(Err(error))) => {
                error.tell("a payment could not be opened", payment.id);
                Ok(payment)
            }
            Ok(Err(_)) | Err(_) => Ok(payment),
        }
    }

    /// Takes a webhook in, and has it handled.
    ///
    /// # Errors
    /// Where it could not be stored.
    pub async fn receive(&self, body: &[u8], signature: Option<&str>) -> sqlx::Result<Received> {
        let Shared { pool, psp, .. } = &*self.shared;
        let mut conn = pool.acquire().await?;
        let now = OffsetDateTime::now_utc();
        let received = webhook::receive(&mut conn, psp, body, signature, now).await?;
        if received == Received::Stored {
            self.shared.arrived.notify_one();
        }
        Ok(received)
    }

    /// Asks the PSP about a payment now.
    ///
    /// # Errors
    /// As [`requery`].
    pub async fn requery(
        &self,
        ledger: &Ledger,
        id: Uuid,
    ) -> Result<Option<Payment>, PaymentError> {
        let Shared {
            pool, options, psp, ..
        } = &*self.shared;
        requery(pool, options, psp, ledger, id, OffsetDateTime::now_utc()).await
    }

    /// Handles webhooks until told to stop.
    pub async fn handle_webhooks(&self, stop: CancellationToken) {
        let Shared {
            pool,
            options,
            psp,
            pace,
            arrived,
            ..
        } = &*self.shared;
        let mut rounds = Rounds::new(pace.poll, "webhooks wait", "webhooks are handled again");
        while !stop.is_cancelled() {
            let now = OffsetDateTime::now_utc();
            let handled = in_time(STEP_MAX, webhook::work(pool, options, psp, now)).await;
            let was_due = handled.map(|count| count > 0);
            let Some(rest) = rounds.rest_after(was_due, PaymentError::is_away) else {
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = arrived.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Calls the PSP for what is due until told to stop.
    pub async fn see_to_payments(&self, stop: CancellationToken) {
        let Shared {
            pool,
            options,
            psp,
            pace,
            ..
        } = &*self.shared;
        let mut rounds = Rounds::new(pace.poll, "payments wait", "payments go on");
        while !stop.is_cancelled() {
            let now = OffsetDateTime::now_utc();
            let swept = sweep(pool, options, psp, now).await;
            let was_due = swept.map(|count| count > 0);
            let Some(rest) = rounds.rest_after(was_due, PaymentError::is_away) else {
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Waits for the calls that nobody waits for. From here on none may be begun.
    pub async fn finish_calls(&self) {
        self.shared.calls.close();
        self.shared.calls.wait().await;
    }
}
