//! All that is due.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::settle::{self, Preview, Standings};
use super::{Options, Release, Scope, SettlementError, release};
use crate::ledger::Ledger;
use crate::merchant::MerchantId;
use crate::postgres::settlements::{self, Due, DueReserve, Settlement};

/// How many periods or reserves are looked up at a time.
const PAGE: i64 = 500;

/// Something that a run did.
#[derive(Clone, Debug)]
pub enum Step {
    /// A period was settled.
    Settled(Box<Settlement>),
    /// A reserve was released.
    Released(Release),
    /// A period or a reserve could not be.
    Failed(Failed),
}

/// What a run could not do. The rest went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Whose.
    pub merchant: MerchantId,
    /// Which: `period 2026-11-22` or `reserve of <settlement>`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Periods that were settled.
    pub settled: u64,
    /// Reserves that were released.
    pub released: u64,
    /// What could not be done.
    pub failed: Vec<Failed>,
    /// Whether it was stopped before all was done.
    pub stopped: bool,
}

/// What a run has in front of it.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The periods that would be settled.
    pub periods: Vec<Preview>,
    /// The reserves that would be released.
    pub reserves: Vec<Release>,
    /// Whether there is more of either.
    pub more: bool,
}

impl Work {
    fn is_full(&self, steps_max: usize) -> bool {
        self.periods.len().saturating_add(self.reserves.len()) >= steps_max
    }
}

/// What a run would do now, in its order; at most so many steps of it.
///
/// # Errors
/// [`SettlementError`].
pub async fn preview(
    conn: &mut PgConnection,
    ledger: &Ledger,
    scope: &Scope,
    steps_max: usize,
) -> Result<Work, SettlementError> {
    let mut work = Work::default();
    let mut standings = Standings::default();
    let mut after: Option<Due> = None;
    loop {
        let page = page(conn, ledger, scope, after.as_ref()).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        for due in &page {
            if work.is_full(steps_max) {
                work.more = true;
                return Ok(work);
            }
            let seen = settle::preview(conn, ledger, due, scope.at, &mut standings).await?;
            work.periods.extend(seen);
        }
    }
    let mut after: Option<DueReserve> = None;
    loop {
        let page = reserves(conn, ledger, scope, after.as_ref()).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        for reserve in page {
            if work.is_full(steps_max) {
                work.more = true;
                return Ok(work);
            }
            let (merchant, currency) = (reserve.merchant.clone(), reserve.currency);
            let standing = standings.of(conn, ledger, &merchant, currency).await?;
            let release = Release::of(reserve, standing.owes);
            let afterwards = standing.after(release.owed_repaid, release.released);
            standings.set(&merchant, currency, afterwards);
            work.reserves.push(release);
        }
    }
    Ok(work)
}

async fn page(
    conn: &mut PgConnection,
    ledger: &Ledger,
    scope: &Scope,
    after: Option<&Due>,
) -> sqlx::Result<Vec<Due>> {
    let merchant = scope.merchant.as_ref();
    settlements::due(conn, ledger.id, merchant, scope.at, after, PAGE).await
}

async fn reserves(
    conn: &mut PgConnection,
    ledger: &Ledger,
    scope: &Scope,
    after: Option<&DueReserve>,
) -> sqlx::Result<Vec<DueReserve>> {
    let merchant = scope.merchant.as_ref();
    settlements::due_reserves(conn, ledger.id, merchant, scope.at, after, PAGE).await
}

/// Settles all that is due, and releases what is due, one COMMIT each; tells every step. What fails
/// doesn't hold up the rest. Stopped between two steps.
///
/// # Errors
/// Where the database is away; what was done before stays done.
pub async fn run(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    scope: &Scope,
    stop: &CancellationToken,
    mut tell: impl FnMut(&Step) + Send,
) -> Result<Report, SettlementError> {
    let mut report = Report::default();
    let mut after: Option<Due> = None;
    loop {
        let mut conn = pool.acquire().await?;
        let page = page(&mut conn, ledger, scope, after.as_ref()).await?;
        drop(conn);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        for due in &page {
            if report.stops(stop) {
                return Ok(report);
            }
            let now = OffsetDateTime::now_utc();
            let settled =
                settle::settle(pool, options, ledger, due, scope.at, &scope.by, now).await;
            let what = || (due.merchant.clone(), format!("period {}", due.period));
            let settled = settled.map(|settled| settled.map(|s| Step::Settled(Box::new(s))));
            report.note(settled, what, &mut tell)?;
        }
    }
    let mut after: Option<DueReserve> = None;
    loop {
        let mut conn = pool.acquire().await?;
        let page = reserves(&mut conn, ledger, scope, after.as_ref()).await?;
        drop(conn);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        for reserve in &page {
            if report.stops(stop) {
                return Ok(report);
            }
            let now = OffsetDateTime::now_utc();
            let released = release(pool, options, ledger, reserve, now).await;
            let what = || {
                let what = format!("reserve of {}", reserve.settlement_id);
                (reserve.merchant.clone(), what)
            };
            let released = released.map(|released| released.map(Step::Released));
            report.note(released, what, &mut tell)?;
        }
    }
    Ok(report)
}

impl Report {
    /// Whether the run is to stop, which it then reports.
    fn stops(&mut self, stop: &CancellationToken) -> bool {
        self.stopped = stop.is_cancelled();
        self.stopped
    }

    fn note(
        &mut self,
        done: Result<Option<Step>, SettlementError>,
        what: impl FnOnce() -> (MerchantId, String),
        tell: &mut impl FnMut(&Step),
    ) -> Result<(), SettlementError> {
        let step = match done {
            Ok(None) => return Ok(()),
            Ok(Some(step)) => step,
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => {
                let ((merchant, what), why) = (what(), error.to_string());
                tracing::error!(%merchant, what, why, "a settlement failed");
                Step::Failed(Failed {
                    merchant,
                    what,
                    why,
                })
            }
        };
        match &step {
            Step::Settled(_) => self.settled = self.settled.saturating_add(1),
            Step::Released(_) => self.released = self.released.saturating_add(1),
            Step::Failed(failed) => self.failed.push(failed.clone()),
        }
        tell(&step);
        Ok(())
    }
}
