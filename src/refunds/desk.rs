//! Where a running daemon takes refunds in.

use std::sync::Arc;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{NewRefund, Options, RefundError, Requested, Resolved, Verdict, request_now, resolve};
use crate::ledger::Ledger;
use crate::postgres::audit::Actor;

/// Refunds of all ledgers through one PSP. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Desk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    options: Options,
    due: Arc<Notify>,
}

impl Desk {
    /// Works on the database through `pool`, whose connections post, and wakes who waits for `due`.
    #[must_use]
    pub fn new(pool: PgPool, options: Options, due: Arc<Notify>) -> Self {
        Self {
            shared: Arc::new(Shared { pool, options, due }),
        }
    }

    /// Asks for a refund, and wakes the worker.
    ///
    /// # Errors
    /// [`RefundError`].
    pub async fn request(
        &self,
        ledger: &Ledger,
        new: &NewRefund,
    ) -> Result<Requested, RefundError> {
        let Shared { pool, options, due } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        let requested = request_now(pool, options, ledger, new, now).await?;
        due.notify_one();
        Ok(requested)
    }

    /// As [`resolve`].
    ///
    /// # Errors
    /// [`RefundError`].
    pub async fn resolve(
        &self,
        ledger: &Ledger,
        id: Uuid,
        verdict: Verdict,
        reason: &str,
        actor: &Actor,
    ) -> Result<Resolved, RefundError> {
        let Shared { pool, options, .. } = &*self.shared;
        let now = OffsetDateTime::now_utc();
        resolve(pool, options, ledger, id, verdict, reason, actor, now).await
    }
}
