//! Runs within aegisd: those that were left to it, and the ends of all others.
//!
//! Which ones is in their rows, so that a daemon that starts takes up what another one had. Two may
//! run: a run has one of them at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::drive::{Desk, Held, Notice, drive};
use super::{RunError, RunKey, decide};
use crate::ledger::Ledger;
use crate::postgres::payout_runs::{self as rows, Paying, items};
use crate::postgres::{Settings, payout_runs::lock};
use crate::psp::Psp;

/// How often runs are looked for.
const POLL: Duration = Duration::from_secs(1);

/// Works on runs.
#[derive(Debug)]
pub struct Worker<P> {
    desk: Arc<Desk<P>>,
    settings: Settings,
}

type Mine = (i32, String);

impl<P: Psp + 'static> Worker<P> {
    /// Pays at this desk, and holds runs over connections of their own.
    #[must_use]
    pub fn new(desk: Desk<P>, settings: Settings) -> Self {
        let desk = Arc::new(desk);
        Self { desk, settings }
    }

    /// Works until it is stopped; runs stop at a safe point, and are gone on with at the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut runs, mut mine) = (JoinSet::new(), HashSet::new());
        while !stop.is_cancelled() {
            if let Err(error) = self.look(&mut runs, &mut mine, &stop).await {
                tracing::warn!(%error, "payout runs can't be looked for");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(ended) = runs.join_next() => {
                    if let Ok(ended) = ended {
                        mine.remove(&ended);
                    }
                }
            }
        }
        while runs.join_next().await.is_some() {}
    }

    async fn look(
        &self,
        runs: &mut JoinSet<Mine>,
        mine: &mut HashSet<Mine>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let mut conn = self.desk.pool.acquire().await?;
        let paying = rows::paying(&mut conn).await?;
        drop(conn);
        for Paying {
            ledger,
            key,
            in_background,
        } in paying
        {
            let is_mine = mine.contains(&(ledger.id, key.clone()));
            match in_background {
                _ if is_mine => {}
                true => {
                    mine.insert((ledger.id, key.clone()));
                    let worker = Self {
                        desk: Arc::clone(&self.desk),
                        settings: self.settings.clone(),
                    };
                    runs.spawn(worker.work(ledger, key, stop.clone()));
                }
                false => self.conclude(&ledger, &key).await?,
            }
        }
        Ok(())
    }

    /// Ends a run that nobody works on, once its payouts are at their ends.
    async fn conclude(&self, ledger: &Ledger, key: &str) -> Result<(), RunError> {
        let mut conn = self.desk.pool.acquire().await?;
        if lock::is_taken(&mut conn, ledger.id, key).await? {
            return Ok(());
        }
        drop(conn);
        let (topic, now) = (
            &self.desk.payouts.topic_settlements,
            OffsetDateTime::now_utc(),
        );
        decide::conclude(&self.desk.pool, topic, ledger, key, now).await?;
        Ok(())
    }

    async fn work(self, ledger: Ledger, key: String, stop: CancellationToken) -> Mine {
        match self.bring_on(&ledger, &key, &stop).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(run = key, %error, "a payout run broke off; it is gone on with");
                // Whatever it was, at once is too early.
                tokio::time::sleep(POLL).await;
            }
        }
        (ledger.id, key)
    }

    async fn bring_on(
        &self,
        ledger: &Ledger,
        key: &str,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let Ok(key) = key.parse::<RunKey>() else {
            return Ok(());
        };
        let conn = self.settings.connect("aegis-payout-run").await?;
        let Some(held) = Held::take(conn, ledger, &key).await? else {
            return Ok(());
        };
        tracing::info!(run = %key, "a payout run is worked on");
        let mut quiet = |_: Notice| {};
        let ending = drive(&self.desk, ledger, held, stop, &mut quiet).await?;
        let run = ending.run();
        tracing::info!(
            run = %key, status = run.status.as_str(), succeeded = run.tally.succeeded.count,
            failed = run.tally.failed.count, unknown = run.tally.unknown.count,
            waiting = run.tally.waiting.count, "a payout run was worked on"
        );
        let mut conn = self.desk.pool.acquire().await?;
        let left = items::not_requested(&mut conn, ledger.id, key.as_str()).await?;
        if left.is_empty() {
            // The payouts' own worker does the rest.
            let now = OffsetDateTime::now_utc();
            rows::set_in_background(&mut conn, ledger.id, key.as_str(), false, now).await?;
        }
        Ok(())
    }
}
