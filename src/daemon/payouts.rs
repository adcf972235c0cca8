//! Payouts within the daemon, where a PSP is configured.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::startup;
use crate::config::Config;
use crate::payouts::{Dispatch, Options, Pace};
use crate::postgres::Settings;
use crate::psp::paystack::{self, PaystackError};
use crate::psp::{Paystack, PaystackOptions};

/// A running worker.
pub(super) struct Worker {
    pub(super) dispatch: Dispatch<Paystack>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// The PSP; none without a secret key.
pub(super) fn psp(config: &Config) -> Result<Option<Paystack>, PaystackError> {
    let options = PaystackOptions::from_config(&config.paystack).map(|options| PaystackOptions {
        breaker: startup::breaker_options(config),
        ..options
    });
    options.map(Paystack::new).transpose()
}

impl Worker {
    pub(super) fn start(config: &Config, settings: &Settings, psp: Paystack) -> Self {
        // Each call writes down what it learned; one more takes the next one, one is for callers.
        let pool = settings.posting_pool(config.payouts.calls_max.saturating_add(2));
        let pace = Pace {
            calls_max: usize::try_from(config.payouts.calls_max).unwrap_or(usize::MAX),
            poll: config.payouts.poll,
        };
        let options = Options::from_config(config, paystack::NAME);
        let dispatch = Dispatch::new(pool, options, psp, pace);
        let (worker, stop) = (dispatch.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { worker.run(stopped).await });
        Self {
            dispatch,
            task,
            stop,
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the payouts' worker did not end well");
        }
    }

    /// Stops it; calls under way are waited for.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        super::report("payouts", self.task.await);
    }
}
