//! What the handlers share.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::kinds;
use super::liveness::Liveness;
use super::problem::Problem;
use super::readiness::Readiness;
use crate::cache::idempotency::Records;
use crate::dlq::Replayer;
use crate::engine::Committer;
use crate::ledger::{Ledger, LedgerName};
use crate::onboarding::Office;
use crate::payments::Desk;
use crate::payout_runs;
use crate::payouts::Dispatch;
use crate::postgres::{DEAD_MAX, Failure, classify, ledgers};
use crate::psp::Paystack;
use crate::reconcile;
use crate::settlement::{self, Settler};
use crate::telemetry::Metrics;

/// How many ledgers are kept by name. Few installations have more; those look the others up.
const LEDGERS_MAX: usize = 1_024;

/// Bounds of what a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, bytes.
    pub body_bytes_max: usize,
    /// After how long a request without an answer gets one that says so.
    pub request_timeout: Duration,
    /// The most requests at work at once; one more is turned away at the door.
    pub requests_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A batch of 8,192 transfers at 1 KiB each.
            body_bytes_max: 8 * 1024 * 1024,
            request_timeout: Duration::from_secs(15),
            requests_max: 1_024,
        }
    }
}

/// What the handlers share. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct ApiState {
    shared: Arc<Shared>,
    replayer: Option<Replayer>,
    metrics: Option<Metrics>,
    liveness: Option<watch::Receiver<Liveness>>,
    records: Option<Records>,
    office: Office,
    desk: Option<Desk>,
    dispatch: Option<Dispatch<Paystack>>,
    refunds: Option<crate::refunds::Desk>,
    settler: Settler,
    run_limits: payout_runs::Limits,
    reconcile: reconcile::Options,
}

#[derive(Debug)]
struct Shared {
    committer: Committer,
    pool: PgPool,
    limits: Limits,
    /// A place for each request at work.
    door: Semaphore,
    readiness: watch::Receiver<Readiness>,
    /// Ledgers are permanent: a name that was found stays true.
    ledgers: RwLock<HashMap<LedgerName, Ledger>>,
}

impl ApiState {
    /// Posts through the committer, reads through the pool, and reports the checks of `readiness`
    /// beside its own of the database.
    #[must_use]
    pub fn new(
        committer: Committer,
        pool: PgPool,
        limits: Limits,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        let ledgers = RwLock::default();
        let settler = Settler::new(pool.clone(), settlement::Options::default());
        Self {
            shared: Arc::new(Shared {
                committer,
                pool,
                limits,
                door: Semaphore::new(limits.requests_max.min(Semaphore::MAX_PERMITS)),
                readiness,
                ledgers,
            }),
            replayer: None,
            metrics: None,
            liveness: None,
            records: None,
            office: Office::default(),
            desk: None,
            dispatch: None,
            refunds: None,
            settler,
            run_limits: payout_runs::Limits::default(),
            reconcile: reconcile::Options::default(),
        }
    }

    /// The same with events of reconciliation told at these topics.
    #[must_use]
    pub fn with_reconcile(self, reconcile: reconcile::Options) -> Self {
        Self { reconcile, ..self }
    }

    pub(super) fn reconcile_options(&self) -> &reconcile::Options {
        &self.reconcile
    }

    /// The same with settlement runs over connections of their own.
    #[must_use]
    pub fn with_settler(self, settler: Settler) -> Self {
        Self { settler, ..self }
    }

    pub(super) fn settler(&self) -> &Settler {
        &self.settler
    }

    /// The same with payouts.
    #[must_use]
    pub fn with_dispatch(self, dispatch: Dispatch<Paystack>) -> Self {
        Self {
            dispatch: Some(dispatch),
            ..self
        }
    }

    /// The same with refunds.
    #[must_use]
    pub fn with_refunds(self, refunds: crate::refunds::Desk) -> Self {
        Self {
            refunds: Some(refunds),
            ..self
        }
    }

    /// The same with a PSP.
    #[must_use]
    pub fn with_desk(self, desk: Desk) -> Self {
        Self {
            desk: Some(desk),
            ..self
        }
    }

    /// The same with limits above which payout runs wait for an approval.
    #[must_use]
    pub fn with_run_limits(self, run_limits: payout_runs::Limits) -> Self {
        Self { run_limits, ..self }
    }

    /// The limits above which payout runs wait for an approval.
    pub(super) fn run_limits(&self) -> payout_runs::Limits {
        self.run_limits
    }

    /// Where payouts are asked for, where a PSP is configured.
    pub(super) fn dispatch(&self) -> Result<&Dispatch<Paystack>, Problem> {
        self.dispatch.as_ref().ok_or_else(|| {
            let detail = "No PSP is configured, so that nothing can be paid out: set \
                          PAYSTACK_SECRET_KEY and start aegisd again.";
            Problem::new(kinds::PSP_NOT_CONFIGURED, detail)
        })
    }

    /// Where refunds are asked for, where a PSP is configured.
    pub(super) fn refunds(&self) -> Result<&crate::refunds::Desk, Problem> {
        self.refunds.as_ref().ok_or_else(|| {
            let detail = "No PSP is configured, so that nothing can be given back: set \
                          PAYSTACK_SECRET_KEY and start aegisd again.";
            Problem::new(kinds::PSP_NOT_CONFIGURED, detail)
        })
    }

    /// The PSP's desk, where one is configured.
    pub(super) fn desk(&self) -> Result<&Desk, Problem> {
        self.desk.as_ref().ok_or_else(|| {
            let detail = "No PSP is configured, so that no payment can be opened: set \
                          PAYSTACK_SECRET_KEY and start aegisd again.";
            Problem::new(kinds::PSP_NOT_CONFIGURED, detail)
        })
    }

    /// The same with events of merchants told at, and money coming through, these.
    #[must_use]
    pub fn with_office(self, office: Office) -> Self {
        Self { office, ..self }
    }

    pub(super) fn office(&self) -> &Office {
        &self.office
    }

    /// The same with somebody who replays dead letters.
    #[must_use]
    pub fn with_replayer(self, replayer: Replayer) -> Self {
        Self {
            replayer: Some(replayer),
            ..self
        }
    }

    /// The same with a memory of what requests were answered.
    #[must_use]
    pub fn with_records(self, records: Records) -> Self {
        Self {
            records: Some(records),
            ..self
        }
    }

    pub(super) fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// The same with metrics to show.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// The same with somebody who watches its loops.
    #[must_use]
    pub fn with_liveness(self, liveness: watch::Receiver<Liveness>) -> Self {
        Self {
            liveness: Some(liveness),
            ..self
        }
    }

    /// How the loops were last seen; where nobody watches them, that the process answers.
    pub(super) fn liveness(&self) -> Liveness {
        let seen = self.liveness.as_ref().map(|seen| seen.borrow().clone());
        seen.unwrap_or_default()
    }

    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    pub(super) fn replayer(&self) -> Option<&Replayer> {
        self.replayer.as_ref()
    }

    pub(super) fn committer(&self) -> &Committer {
        &self.shared.committer
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    pub(super) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// A place for one more request at work, or none.
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.door.try_acquire().ok()
    }

    /// What the daemon reported last.
    pub(super) fn readiness(&self) -> Readiness {
        self.shared.readiness.borrow().clone()
    }

    /// The ledger of that name.
    pub(super) async fn ledger(&self, name: &str) -> Result<Ledger, Problem> {
        let missing = |detail: String| Problem::new(kinds::LEDGER_NOT_FOUND, detail);
        let name: LedgerName = name.parse().map_err(missing)?;
        let known = {
            let ledgers = self
                .shared
                .ledgers
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            ledgers.get(&name).cloned()
        };
        if let Some(ledger) = known {
            return Ok(ledger);
        }
        let found = database!(self, |conn| ledgers::find(conn, &name));
        let ledger = found.ok_or_else(|| missing(format!("There is no ledger {name}.")))?;
        let mut ledgers = self
            .shared
            .ledgers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if ledgers.len() >= LEDGERS_MAX {
            ledgers.clear();
        }
        ledgers.insert(name, ledger.clone());
        Ok(ledger)
    }
}

/// How often work was met by a dead connection.
#[derive(Debug, Default)]
pub(super) struct Lost(u32);

impl Lost {
    /// Whether to try another connection after this error.
    pub(super) fn again(&mut self, error: &sqlx::Error) -> bool {
        self.0 = self.0.saturating_add(1);
        classify(error) == Failure::Lost && self.0 <= DEAD_MAX
    }
}

/// Runs work that may run twice with a connection of the pool, and again with another one where
/// that one was dead: `database!(state, |conn| ledgers::find(conn, &name))`.
///
/// A macro, since a function can't say yet that the future of a closure, which borrows both from
/// the connection and from the handler, may move between threads.
macro_rules! database {
    ($state:expr, |$conn:ident| $work:expr) => {{
        let mut lost = $crate::api::state::Lost::default();
        loop {
            let mut connection = $state.pool().acquire().await.map_err(Problem::from)?;
            let $conn = &mut *connection;
            match $work.await {
                Err(error) if lost.again(&error) => {}
                done => break done.map_err(Problem::from)?,
            }
        }
    }};
}
pub(super) use database;
