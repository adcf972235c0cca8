//! Settlement in a running daemon: asked for by callers, and done by itself every so often.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Options, Report, Scope, SettlementError, Step, keep_settling, run};
use crate::ledger::Ledger;

/// What settles in a daemon. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Settler {
    pool: PgPool,
    options: Options,
}

impl Settler {
    /// Posts over the connections of this pool.
    #[must_use]
    pub fn new(pool: PgPool, options: Options) -> Self {
        Self { pool, options }
    }

    /// [`run`].
    ///
    /// # Errors
    /// As [`run`].
    pub async fn run(
        &self,
        ledger: &Ledger,
        scope: &Scope,
        stop: &CancellationToken,
        tell: impl FnMut(&Step) + Send,
    ) -> Result<Report, SettlementError> {
        run(&self.pool, &self.options, ledger, scope, stop, tell).await
    }

    /// [`keep_settling`]; with 0 it only waits to be told to stop.
    pub async fn keep_settling(self, every: Duration, stop: CancellationToken) {
        match every.is_zero() {
            true => stop.cancelled().await,
            false => keep_settling(self.pool, self.options, every, stop).await,
        }
    }
}
