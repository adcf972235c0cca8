//! Payouts in a running daemon: taken in from callers, and looked after by a worker.
//!
//! The worker takes the payout whose call has been due the longest, skipping those in other hands,
//! writes the attempt in the same short transaction, and makes the call on a task of its own:
//! several at once, and no transaction open meanwhile. Two daemons may run.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::advance::{Begun, Call, begin_one, carry_out};
use super::resolve::{Resolved, resolve};
use super::{AttemptKind, NewPayout, Options, Payout, PayoutError, Requested, Verdict, request};
use crate::ledger::Ledger;
use crate::postgres::audit::Actor;
use crate::postgres::{atomically, payouts};
use crate::psp::Psp;
use crate::resilience::backoff::Reconnect;
use crate::resilience::failpoint;
use crate::resilience::held_up::HeldUp;

/// Asks for a payout in a transaction of its own.
///
/// # Errors
/// [`PayoutError`].
pub async fn request_now(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    new: &NewPayout,
    now: OffsetDateTime,
) -> Result<Requested, PayoutError> {
    let requested = atomically!(pool, |conn| request(conn, options, ledger, new, now))?;
    failpoint::reach(failpoint::PAYOUT_REQUESTED);
    Ok(requested)
}

/// Asks the PSP how a payout stands, whether that is due or not. One that is being sent at this
/// moment is given as it stands.
///
/// # Errors
/// [`PayoutError`].
pub async fn requery<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    ledger: &Ledger,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Payout, PayoutError> {
    let asked = Some(AttemptKind::Ask);
    let begun = atomically!(pool, |conn| begin_one(
        conn, options, ledger, id, asked, now
    ))?;
    match begun {
        Begun::Nothing(payout) => Ok(*payout),
        Begun::Call(call) => carry_out(pool, options, psp, ledger, *call, now).await,
    }
}

/// How much the worker does.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Calls to the PSP at once.
    pub calls_max: usize,
    /// How long it sleeps when nothing is due and nobody wakes it.
    pub poll: Duration,
}

/// Payouts of all ledgers through one PSP. Clones are handles on the same.
#[derive(Debug)]
pub struct Dispatch<P> {
    shared: Arc<Shared<P>>,
}

impl<P> Clone for Dispatch<P> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<P> {
    pool: PgPool,
    options: Options,
    psp: P,
    pace: Pace,
    /// Something is due.
    due: Notify,
}

impl<P: Psp + 'static> Dispatch<P> {
    /// Works on the database through `pool`, whose connections post.
    #[must_use]
    pub fn new(pool: PgPool, options: Options, psp: P, pace: Pace) -> Self {
        Self {
            shared: Arc::new(Shared {
                pool,
                options,
                psp,
                pace,
                due: Notify::new(),
            }),
        }
    }

    /// How payouts are looked after.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Asks for a payout, and wakes the worker.
    ///
    /// # Errors
    /// [`PayoutError`].
    pub async fn request(
        &self,
        ledger: &Ledger,
        new: &NewPayout,
    ) -> Result<Requested, PayoutError> {
        let Shared { pool, options, .. } = &*self.shared;
        let requested = request_now(pool, options, ledger, new, OffsetDateTime::now_utc()).await?;
        self.shared.due.notify_one();
        Ok(requested)
    }

    /// As [`requery`].
    ///
    /// # Errors
    /// [`PayoutError`].
    pub async fn requery(&self, ledger: &Ledger, id: Uuid) -> Result<Payout, PayoutError> {
        let Shared {
            pool, options, psp, ..
        } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        let payout = requery(pool, options, psp, ledger, id, now).await?;
        self.shared.due.notify_one();
        Ok(payout)
    }

    /// As [`resolve`].
    ///
    /// # Errors
    /// [`PayoutError`].
    pub async fn resolve(
        &self,
        ledger: &Ledger,
        id: Uuid,
        verdict: Verdict,
        reason: &str,
        actor: &Actor,
    ) -> Result<Resolved, PayoutError> {
        let Shared { pool, options, .. } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        resolve(pool, options, ledger, id, verdict, reason, actor, now).await
    }

    /// Looks after payouts until it is stopped; calls under way are waited for.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut calls, mut reconnect) = (JoinSet::new(), Reconnect::default());
        let mut held = HeldUp::default();
        while !stop.is_cancelled() {
            let mut wait = self.shared.pace.poll;
            while calls.len() < self.shared.pace.calls_max {
                let taken = self.take().await;
                if taken.is_ok() {
                    held.goes_on("payouts that are due are taken again");
                }
                match taken {
                    Ok(Taken::Call(ledger, call, now)) => {
                        calls.spawn(self.clone().make(ledger, *call, now));
                    }
                    Ok(Taken::Other) => {}
                    Ok(Taken::Nothing) => break,
                    Err(error) => {
                        let message = "payouts that are due can't be taken";
                        held.failed(message, &error, error.is_away());
                        wait = reconnect.next_delay();
                        break;
                    }
                }
                reconnect.reset();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = calls.join_next() => {}
                () = self.shared.due.notified(), if calls.len() < self.shared.pace.calls_max => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        while calls.join_next().await.is_some() {}
    }

    async fn take(&self) -> Result<Taken, PayoutError> {
        let Shared { pool, options, .. } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        atomically!(pool, |conn| take(conn, options, now))
    }

    async fn make(self, ledger: Ledger, call: Call, now: OffsetDateTime) {
        let Shared {
            pool, options, psp, ..
        } = &*self.shared;
        let id = call.payout.id;
        if let Err(error) = carry_out(pool, options, psp, &ledger, call, now).await {
            tracing::error!(%error, payout = %id, "what the PSP answered can't be written");
        }
    }
}

#[derive(Debug)]
enum Taken {
    Nothing,
    /// It was due and needs no call.
    Other,
    Call(Ledger, Box<Call>, OffsetDateTime),
}

async fn take(
    conn: &mut PgConnection,
    options: &Options,
    now: OffsetDateTime,
) -> Result<Taken, PayoutError> {
    let Some((ledger, id)) = payouts::next_due(conn, &options.psp_name, now).await? else {
        return Ok(Taken::Nothing);
    };
    let begun = begin_one(conn, options, &ledger, id, None, now).await?;
    Ok(match begun {
        Begun::Nothing(_) => Taken::Other,
        Begun::Call(call) => Taken::Call(ledger, call, now),
    })
}
