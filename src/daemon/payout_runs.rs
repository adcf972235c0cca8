//! Payout runs within the daemon, where a PSP is configured.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::payout_runs::{Desk, Pace, Worker};
use crate::payouts::Options;
use crate::postgres::Settings;
use crate::psp::{Paystack, paystack};

/// A running worker.
pub(super) struct Runs {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Runs {
    pub(super) fn start(config: &Config, settings: &Settings, psp: Paystack) -> Self {
        let pace = Pace::from_config(config);
        let connections = u32::try_from(pace.at_once).unwrap_or(u32::MAX);
        let desk = Desk {
            // One more looks for runs.
            pool: settings.posting_pool(connections.saturating_add(1)),
            payouts: Options::from_config(config, paystack::NAME),
            psp,
            pace,
        };
        let worker = Worker::new(desk, settings.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { worker.run(stopped).await });
        Self { task, stop }
    }

    /// Stops it; runs stop at a safe point.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        super::report("payout runs", self.task.await);
    }
}
