//! Runs within aegisd: those that were left to it, and the ends of all others.
//!
//! Which ones is in their rows, so that a daemon that starts takes up what another one had. Two may
//! run: a run has one of them at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use super::drive::{Desk, Held, Notice, drive};
use super::{RunError, RunKey, decide};
use crate::ledger::Ledger;
use crate::postgres::payout_runs::{self as rows, Paying, items};
use crate::postgres::{Settings, payout_runs::lock};
use crate::psp::Psp;
use crate::resilience::held_up::HeldUp;

/// How often runs are looked for.
const POLL: Duration = Duration::from_secs(1);

/// Works on runs.
#[derive(Debug)]
pub struct Worker<P> {
    desk: Arc<Desk<P>>,
    settings: Settings,
}

/// What this process works on: each run by the task that does.
type Mine = HashMap<task::Id, (i32, String)>;

impl<P: Psp + 'static> Worker<P> {
    /// Pays at this desk, and holds runs over connections of their own.
    #[must_use]
    pub fn new(desk: Desk<P>, settings: Settings) -> Self {
        let desk = Arc::new(desk);
        Self { desk, settings }
    }

    /// Works until it is stopped; runs stop at a safe point, and are gone on with at the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut runs, mut mine, mut held) = (JoinSet::new(), Mine::new(), HeldUp::default());
        while !stop.is_cancelled() {
            match self.look(&mut runs, &mut mine, &stop).await {
                Ok(()) => held.goes_on("payout runs are looked for again"),
                Err(error) => {
                    held.failed("payout runs can't be looked for", &error, error.is_away());
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(ended) = runs.join_next_with_id() => {
                    let pause = ended.is_err();
                    let run = mine.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                    if pause {
                        let key = run.map(|(_, key)| key);
                        tracing::error!(run = key, "the work on a payout run panicked; it is gone on with");
                        // Whatever it was, at once is too early.
                        tokio::time::sleep(POLL).await;
                    }
                }
            }
        }
        while runs.join_next().await.is_some() {}
    }

    async fn look(
        &self,
        runs: &mut JoinSet<()>,
        mine: &mut Mine,
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
            let run = (ledger.id, key.clone());
            let is_mine = mine.values().any(|mine| *mine == run);
            match in_background {
                _ if is_mine => {}
                true => {
                    let worker = Self {
                        desk: Arc::clone(&self.desk),
                        settings: self.settings.clone(),
                    };
                    let task = runs.spawn(worker.work(ledger, key, stop.clone()));
                    mine.insert(task.id(), run);
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

    async fn work(self, ledger: Ledger, key: String, stop: CancellationToken) {
        if let Err(error) = self.bring_on(&ledger, &key, &stop).await {
            let message = "a payout run broke off; it is gone on with";
            match error.is_away() {
                // Told once, by whoever watches it.
                true => tracing::debug!(run = key, %error, message),
                false => tracing::warn!(run = key, %error, message),
            }
            // Whatever it was, at once is too early.
            tokio::time::sleep(POLL).await;
        }
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
