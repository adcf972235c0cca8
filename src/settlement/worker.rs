//! A daemon that settles what has matured, every so often.

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Options, Scope, SettlementError, run};
use crate::postgres::ledgers;
use crate::resilience::failpoint;

/// Who is written down as having settled.
const BY: &str = "aegisd";

/// Settles what has matured in every ledger, every so often, until told to stop. Several daemons may
/// do so at once.
pub async fn keep_settling(
    pool: PgPool,
    options: Options,
    every: Duration,
    stop: CancellationToken,
) {
    let mut away = false;
    while !stop.is_cancelled() {
        failpoint::reach(failpoint::SETTLEMENT_TURNS);
        match settle_all(&pool, &options, &stop).await {
            Ok(()) => away = false,
            // Said once: that the database is away is told elsewhere.
            Err(error) if !std::mem::replace(&mut away, true) => {
                tracing::warn!(%error, "settlements wait");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn settle_all(
    pool: &PgPool,
    options: &Options,
    stop: &CancellationToken,
) -> Result<(), SettlementError> {
    let mut conn = pool.acquire().await?;
    let ledgers = ledgers::all(&mut conn).await?;
    drop(conn);
    for ledger in ledgers {
        let scope = Scope {
            merchant: None,
            at: OffsetDateTime::now_utc(),
            by: BY.to_owned(),
        };
        let report = run(pool, options, &ledger, &scope, stop, |_| {}).await?;
        if report.settled > 0 || report.released > 0 {
            let (settled, released) = (report.settled, report.released);
            tracing::info!(ledger = %ledger.name, settled, released, "settled what matured");
        }
    }
    Ok(())
}
