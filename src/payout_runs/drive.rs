//! Brings a run on: requests what was not requested, sends it, and stays with it for a while.
//!
//! | killed | what becomes of it |
//! |---|---|
//! | before an item's COMMIT | nothing happened to it; whoever goes on requests it |
//! | behind it | the item names its payout; whoever goes on, or aegisd, sends it |
//! | behind the call to the PSP | the payout's row says what may be assumed; it is asked about before it is sent again |
//!
//! What is not at its end when the patience is over is left to aegisd, by the payouts' own schedule.

use std::future::ready;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use sqlx::{Connection, PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{RunError, RunKey, decide};
use crate::config::Config;
use crate::ledger::{IdempotencyKey, Ledger, Rejection};
use crate::payouts::{self, NewPayout, PayoutError, Requested, RunItem};
use crate::postgres::atomically;
use crate::postgres::payout_runs::items::{self, Claimed, OnItsWay};
use crate::postgres::payout_runs::{Run, RunStatus, find, lock};
use crate::psp::Psp;
use crate::resilience::failpoint;

/// How often the connection that holds a run is looked at.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How often payouts that only the PSP can end are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The PSP's word that it doesn't know a payout has the next step follow at once.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How fast, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Payouts at work at once, 1 or more.
    pub at_once: usize,
    /// Calls to the PSP a second, 1 or more.
    pub calls_per_second: u32,
    /// How long payouts that are not at their ends are stayed with, once all are requested.
    pub patience: Duration,
}

impl Pace {
    /// As configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            at_once: config.payout_run.payouts_at_once,
            calls_per_second: config.payout_run.calls_per_second,
            patience: config.payout_run.patience,
        }
    }
}

/// What it takes to pay.
#[derive(Debug)]
pub struct Desk<P> {
    /// Connections that post.
    pub pool: PgPool,
    /// How payouts are made.
    pub payouts: payouts::Options,
    /// Who pays.
    pub psp: P,
    /// How fast, and how long.
    pub pace: Pace,
}

/// A run that nobody else works on, for as long as this lives.
#[derive(Debug)]
pub struct Held {
    conn: PgConnection,
    key: RunKey,
}

impl Held {
    /// Takes a run over a connection of its own; `None`: somebody else has it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn take(
        mut conn: PgConnection,
        ledger: &Ledger,
        key: &RunKey,
    ) -> sqlx::Result<Option<Self>> {
        let is_free = lock::try_take(&mut conn, ledger.id, key.as_str()).await?;
        let key = key.clone();
        Ok(is_free.then_some(Self { conn, key }))
    }

    /// Lets it go.
    pub async fn let_go(self) {
        // The server frees it in any case, once it sees that the connection is gone.
        drop(self.conn.close().await);
    }

    /// Ends where the connection breaks.
    async fn broken(&mut self) -> RunError {
        loop {
            tokio::time::sleep(KEEP_EVERY).await;
            if let Err(source) = lock::keep(&mut self.conn).await {
                let key = self.key.to_string();
                return RunError::LetGo { key, source };
            }
        }
    }
}

/// What happens on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// So many of the run's items are requested, or refused by a rule.
    Requested(u64),
    /// All are, and so many are not at their ends.
    Staying(usize),
}

/// How far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// None of its items waits.
    Over(Run),
    /// The patience is over before all payouts were at their ends.
    Left(Run),
    /// It was stopped at a safe point.
    Stopped(Run),
}

impl Ending {
    /// The run as it stands.
    #[must_use]
    pub fn run(&self) -> &Run {
        match self {
            Self::Over(run) | Self::Left(run) | Self::Stopped(run) => run,
        }
    }
}

/// Brings a run on until it is over, the patience is, or it is stopped.
///
/// # Errors
/// [`RunError`]: what was done stays done, and going on takes it up.
pub async fn drive<P: Psp>(
    desk: &Desk<P>,
    ledger: &Ledger,
    mut held: Held,
    stop: &CancellationToken,
    notice: &mut (dyn FnMut(Notice) + Send),
) -> Result<Ending, RunError> {
    let key = held.key.clone();
    let way = Way {
        desk,
        ledger,
        key: &key,
        turns: Mutex::new(turns(desk.pace.calls_per_second)),
    };
    let driven = tokio::select! {
        driven = way.drive(stop, notice) => driven,
        broken = held.broken() => Err(broken),
    };
    held.let_go().await;
    driven
}

fn turns(calls_per_second: u32) -> Interval {
    let every = Duration::from_secs(1)
        .checked_div(calls_per_second)
        .unwrap_or_default();
    let mut turns = tokio::time::interval(every.max(Duration::from_micros(1)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

struct Way<'a, P> {
    desk: &'a Desk<P>,
    ledger: &'a Ledger,
    key: &'a RunKey,
    turns: Mutex<Interval>,
}

impl<P: Psp> Way<'_, P> {
    async fn drive(
        &self,
        stop: &CancellationToken,
        notice: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<Ending, RunError> {
        self.request_all(stop, notice).await?;
        if !stop.is_cancelled() {
            self.stay(stop, notice).await?;
        }
        let now = OffsetDateTime::now_utc();
        let (pool, topic) = (&self.desk.pool, &self.desk.payouts.topic_settlements);
        let run = decide::conclude(pool, topic, self.ledger, self.key.as_str(), now).await?;
        let run = run.ok_or(sqlx::Error::RowNotFound)?;
        Ok(match run.status {
            RunStatus::Finished | RunStatus::Cancelled => Ending::Over(run),
            _ if stop.is_cancelled() => Ending::Stopped(run),
            _ => Ending::Left(run),
        })
    }

    /// Requests and sends what was not requested yet, several at once.
    async fn request_all(
        &self,
        stop: &CancellationToken,
        notice: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<(), RunError> {
        let mut conn = self.desk.pool.acquire().await?;
        let (id, key) = (self.ledger.id, self.key.as_str());
        let numbers = items::not_requested(&mut conn, id, key).await?;
        let count = find(&mut conn, id, key).await?.map_or(0, |run| run.count);
        drop(conn);
        let left = u64::try_from(numbers.len()).unwrap_or_default();
        let mut done = u64::try_from(count)
            .unwrap_or_default()
            .saturating_sub(left);
        notice(Notice::Requested(done));
        let mut paying = stream::iter(numbers)
            .take_while(|_| ready(!stop.is_cancelled()))
            .map(|number| self.pay(number))
            .buffer_unordered(self.desk.pace.at_once);
        while let Some(paid) = paying.next().await {
            paid?;
            done = done.saturating_add(1);
            notice(Notice::Requested(done));
        }
        Ok(())
    }

    /// Makes an item a payout, and sends it.
    async fn pay(&self, number: i32) -> Result<(), RunError> {
        if let Some(payout) = self.request(number).await? {
            // Requested and not sent: here a crash leaves the payout to whoever goes on.
            failpoint::reach(failpoint::PAYOUT_RUN_REQUESTED);
            self.advance(payout).await?;
            failpoint::reach(failpoint::PAYOUT_RUN_SENT);
        }
        Ok(())
    }

    /// The payout of an item, requested now; `None` where there is none, or it was before.
    async fn request(&self, number: i32) -> Result<Option<Uuid>, RunError> {
        let now = OffsetDateTime::now_utc();
        match atomically!(self.desk.pool, |conn| self
            .request_within(conn, number, now))
        {
            // Nothing of it is written: the item says so by itself, and the others go on.
            Err(RunError::Payout(PayoutError::Refused { rejection, .. })) => {
                atomically!(self.desk.pool, |conn| self
                    .reject(conn, number, &rejection, now))?;
                Ok(None)
            }
            requested => requested,
        }
    }

    async fn request_within(
        &self,
        conn: &mut PgConnection,
        number: i32,
        now: OffsetDateTime,
    ) -> Result<Option<Uuid>, RunError> {
        let (id, key) = (self.ledger.id, self.key.as_str());
        let Some(item) = items::claim(conn, id, key, number).await? else {
            return Ok(None);
        };
        let (new, options) = (new_payout(key, number, item), &self.desk.payouts);
        match payouts::request(conn, options, self.ledger, &new, now).await? {
            Requested::Now(payout) | Requested::Before(payout) => {
                items::requested(conn, id, key, number, payout.id, now).await?;
                Ok(Some(payout.id))
            }
            Requested::Rejected { code, detail } => {
                items::rejected(conn, id, key, number, (code, &detail), now).await?;
                Ok(None)
            }
        }
    }

    async fn reject(
        &self,
        conn: &mut PgConnection,
        number: i32,
        rejection: &Rejection,
        now: OffsetDateTime,
    ) -> Result<(), RunError> {
        let (id, key) = (self.ledger.id, self.key.as_str());
        if items::claim(conn, id, key, number).await?.is_some() {
            let why = (rejection.code.as_str(), rejection.detail.as_str());
            items::rejected(conn, id, key, number, why, now).await?;
        }
        Ok(())
    }

    /// One step of a payout, in its turn.
    async fn advance(&self, payout: Uuid) -> Result<(), RunError> {
        self.turns.lock().await.tick().await;
        let (desk, now) = (self.desk, OffsetDateTime::now_utc());
        let step = payouts::advance(
            &desk.pool,
            &desk.payouts,
            &desk.psp,
            self.ledger,
            payout,
            now,
        );
        match step.await {
            // It stays as it is, and says why.
            Ok(_) | Err(PayoutError::Refused { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Stays with the payouts that are not at their ends, for as long as the patience lasts.
    async fn stay(
        &self,
        stop: &CancellationToken,
        notice: &mut (dyn FnMut(Notice) + Send),
    ) -> Result<(), RunError> {
        let patience = self.desk.pace.patience;
        let until = Instant::now() + patience;
        let until_then = OffsetDateTime::now_utc() + patience;
        loop {
            let mut conn = self.desk.pool.acquire().await?;
            let left = items::on_their_way(&mut conn, self.ledger.id, self.key.as_str()).await?;
            drop(conn);
            notice(Notice::Staying(left.len()));
            let now = OffsetDateTime::now_utc();
            let (due, later): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|payout| payout.next_attempt_at <= now);
            let none_due = due.is_empty();
            let mut steps = stream::iter(due)
                .take_while(|_| ready(!stop.is_cancelled()))
                .map(|payout| self.advance(payout.payout_id))
                .buffer_unordered(self.desk.pace.at_once);
            while let Some(step) = steps.next().await {
                step?;
            }
            drop(steps);
            // Of what is unknown nothing is to be heard before it is asked about again.
            let is_left = |p: &OnItsWay| p.is_unknown && p.next_attempt_at > until_then;
            let nothing_more = none_due && later.iter().all(is_left);
            if nothing_more || Instant::now() >= until {
                return Ok(());
            }
            let wait = if none_due { LOOK_EVERY } else { LOOK_AGAIN };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(until.min(Instant::now() + wait)) => {}
            }
        }
    }
}

fn new_payout(key: &str, number: i32, item: Claimed) -> NewPayout {
    NewPayout {
        merchant: item.merchant,
        currency: item.currency,
        amount: item.amount,
        label: item.reference,
        key: IdempotencyKey::own(&format!("payout_run:{key}:{number}")),
        run: Some(RunItem {
            run_key: key.to_owned(),
            number,
        }),
        correlation_id: Some(format!("payout_run:{key}")),
        traceparent: None,
        requested_by: item.started_by,
    }
}
