//! Money in and out within the daemon: the PSP, and the workers that see to what is due there.

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::startup::{self, DaemonError};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::payments::{Desk, Options, Pace};
use crate::postgres::{Settings, ledgers};
use crate::psp::{Paystack, PaystackOptions, paystack};

/// One for each worker, and some for requests and the calls that they began.
const CONNECTIONS_MAX: u32 = 8;

/// A PSP at work.
pub(super) struct Money {
    desk: Desk,
    tasks: JoinSet<&'static str>,
    stop: CancellationToken,
}

impl Money {
    /// Starts the workers of the PSP that is configured, if one is.
    pub(super) async fn start(
        config: &Config,
        settings: &Settings,
        pool: &PgPool,
    ) -> Result<Option<Self>, DaemonError> {
        let Some(options) = PaystackOptions::from_config(&config.paystack) else {
            tracing::info!("no PSP is configured: payments are not taken");
            return Ok(None);
        };
        let psp = Paystack::new(PaystackOptions {
            breaker: startup::breaker_options(config),
            ..options
        })?;
        let ledger = ledger(config, pool).await?;
        let options = Options::from_config(config, paystack::NAME, ledger);
        let pace = Pace {
            open_wait: config.payments.open_wait,
            poll: config.payments.poll,
        };
        let desk = Desk::new(settings.posting_pool(CONNECTIONS_MAX), options, psp, pace);
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let (at, stopped) = (desk.clone(), stop.clone());
        tasks.spawn(async move {
            at.handle_webhooks(stopped).await;
            "worker of webhooks"
        });
        let (at, stopped) = (desk.clone(), stop.clone());
        tasks.spawn(async move {
            at.see_to_payments(stopped).await;
            "worker of payments"
        });
        Ok(Some(Self { desk, tasks, stop }))
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The first worker that ends by itself.
    pub(super) async fn ended(&mut self) -> &'static str {
        match self.tasks.join_next().await {
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                tracing::error!(%error, "a worker of payments did not end well");
                "workers of payments"
            }
            None => "workers of payments",
        }
    }

    /// Sees the calls through that requests began, then stops the workers. What they had not done
    /// is due at the next start.
    pub(super) async fn stop(mut self) {
        self.desk.finish_calls().await;
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            super::report("money", ended);
        }
    }
}

/// Where discrepancies go that belong to no ledger: the configured one, if it is there.
async fn ledger(config: &Config, pool: &PgPool) -> Result<Ledger, DaemonError> {
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
