//! Money in and out within the daemon, where a PSP is configured: webhooks are handled, payments,
//! refunds, payouts and payout runs looked after, each by a worker of its own.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::gauges::NamedPool;
use super::parts::{Part, Starter};
use super::startup::{self, DaemonError};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::payments::{self, Desk};
use crate::payout_runs;
use crate::payouts::{self, Dispatch};
use crate::postgres::{Settings, ledgers};
use crate::psp::paystack::{self, PaystackError};
use crate::psp::{Paystack, PaystackOptions};
use crate::refunds;

/// Webhooks and payments post in transactions of their own: the workers' two, and callers'.
const PAYMENT_CONNECTIONS_MAX: u32 = 10;
const REFUND_CONNECTIONS_MAX: u32 = 3;

/// What the API hands money to, and those who work on it meanwhile.
pub(super) struct Money {
    pub(super) desk: Desk,
    pub(super) dispatch: Dispatch<Paystack>,
    pub(super) refunds: refunds::Desk,
    pools: Vec<NamedPool>,
    workers: Vec<Part>,
    stop: CancellationToken,
}

impl Money {
    /// Starts the workers; `None` without a secret key of the PSP.
    pub(super) async fn start(
        config: &Config,
        settings: &Settings,
        pool: &PgPool,
        starter: &Starter,
    ) -> Result<Option<Self>, DaemonError> {
        let Some(psp) = psp(config)? else {
            tracing::info!("no PSP is configured: no payments are taken and no payouts made");
            return Ok(None);
        };
        let ledger = ledger_of_strays(config, pool).await?;
        let options = payments::Options::from_config(config, paystack::NAME, ledger);
        let (payout_options, refund_options) = (options.payouts.clone(), options.refunds.clone());
        let pace = payments::Pace {
            open_wait: config.payments.open_wait,
            poll: config.payments.poll,
        };
        let pool = settings.posting_pool(PAYMENT_CONNECTIONS_MAX);
        let mut pools = vec![("payments", pool.clone())];
        let desk = Desk::new(pool, options, psp.clone(), pace);
        // Each call writes down what it learned; one more takes the next one, one is for callers.
        let pool = settings.posting_pool(config.payouts.calls_max.saturating_add(2));
        let pace = payouts::Pace {
            calls_max: usize::try_from(config.payouts.calls_max).unwrap_or(usize::MAX),
            poll: config.payouts.poll,
        };
        pools.push(("payouts", pool.clone()));
        let dispatch = Dispatch::new(pool, payout_options, psp.clone(), pace);
        let (mut workers, stop) = (Vec::new(), CancellationToken::new());
        let (worker, stopped) = (desk.clone(), stop.clone());
        workers.push(starter.start("webhooks' worker", async move {
            worker.handle_webhooks(stopped).await;
        }));
        let (worker, stopped) = (desk.clone(), stop.clone());
        workers.push(starter.start("payments' worker", async move {
            worker.see_to_payments(stopped).await;
        }));
        let (worker, stopped) = (dispatch.clone(), stop.clone());
        workers.push(starter.start("payouts' worker", async move {
            worker.run(stopped).await;
        }));
        // One that works, one for callers.
        let pool = settings.posting_pool(REFUND_CONNECTIONS_MAX);
        pools.push(("refunds", pool.clone()));
        let due = Arc::new(Notify::new());
        let refunds = refunds::Desk::new(pool.clone(), refund_options.clone(), Arc::clone(&due));
        let (poll, stopped) = (config.refunds.poll, stop.clone());
        let of_refunds = psp.clone();
        workers.push(starter.start("refunds' worker", async move {
            refunds::run(pool, refund_options, of_refunds, &due, poll, stopped).await;
        }));
        let runs_pool = runs_pool(config, settings);
        pools.push(("payout_runs", runs_pool.clone()));
        let (runs, stopped) = (runs(config, settings, runs_pool, psp), stop.clone());
        workers.push(starter.start("payout runs' worker", async move {
            runs.run(stopped).await;
        }));
        Ok(Some(Self {
            desk,
            dispatch,
            refunds,
            pools,
            workers,
            stop,
        }))
    }

    /// The pools that they work with.
    pub(super) fn pools(&self) -> &[NamedPool] {
        &self.pools
    }

    /// Stops them; calls under way are waited for.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        for worker in self.workers {
            worker.ended().await;
        }
        self.desk.finish_calls().await;
    }
}

/// For as many payouts as a run makes at once; one more connection looks for runs.
fn runs_pool(config: &Config, settings: &Settings) -> PgPool {
    let at_once = payout_runs::Pace::from_config(config).at_once;
    let connections = u32::try_from(at_once).unwrap_or(u32::MAX);
    settings.posting_pool(connections.saturating_add(1))
}

/// Who works on payout runs that nobody sits in front of.
fn runs(
    config: &Config,
    settings: &Settings,
    pool: PgPool,
    psp: Paystack,
) -> payout_runs::Worker<Paystack> {
    let pace = payout_runs::Pace::from_config(config);
    let desk = payout_runs::Desk {
        pool,
        payouts: payouts::Options::from_config(config, paystack::NAME),
        psp,
        pace,
    };
    payout_runs::Worker::new(desk, settings.clone())
}

/// The PSP; none without a secret key.
fn psp(config: &Config) -> Result<Option<Paystack>, PaystackError> {
    let options = PaystackOptions::from_config(&config.paystack).map(|options| PaystackOptions {
        breaker: startup::breaker_options(config),
        ..options
    });
    options.map(Paystack::new).transpose()
}

/// Where discrepancies go that belong to no ledger: the configured one, or `main`.
async fn ledger_of_strays(config: &Config, pool: &PgPool) -> Result<Ledger, DaemonError> {
    let mut conn = pool.acquire().await.map_err(DaemonError::Database)?;
    for name in [config.ledger.as_str(), "main"] {
        let Ok(name) = name.parse() else { continue };
        let found = ledgers::find(&mut conn, &name).await;
        if let Some(ledger) = found.map_err(DaemonError::Database)? {
            return Ok(ledger);
        }
    }
    Err(DaemonError::Database(sqlx::Error::RowNotFound))
}
