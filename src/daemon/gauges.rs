//! Looks at what only the database knows, now and then, and puts it into the metrics.

use std::time::Duration;

use metrics::{counter, gauge};
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::api::BreakerStanding;
use crate::postgres::dead_letters::index;
use crate::postgres::{outbox, retries, webhooks};
use crate::resilience::breaker::BreakerState;

const EVERY: Duration = Duration::from_secs(5);

/// Never ends.
pub(super) async fn watch(pool: PgPool) {
    gauge!("aegis_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    loop {
        if let Err(error) = look(&pool, OffsetDateTime::now_utc()).await {
            // That the database is away is told elsewhere.
            tracing::debug!(%error, "the depths of queues are not known");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(pool: &PgPool, now: OffsetDateTime) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    let queue = outbox::depth(&mut conn, None).await?;
    gauge!("aegis_outbox_rows").set(number(queue.rows));
    gauge!("aegis_outbox_oldest_age_seconds").set(age(queue.oldest_at, now));
    let (rows, oldest_at) = retries::depth(&mut conn).await?;
    gauge!("aegis_retries_rows").set(number(rows));
    gauge!("aegis_retries_oldest_age_seconds").set(age(oldest_at, now));
    let (rows, received_at) = webhooks::depth(&mut conn).await?;
    gauge!("aegis_webhooks_waiting").set(number(rows));
    gauge!("aegis_webhooks_oldest_age_seconds").set(age(received_at, now));
    let (waiting, failed_at) = index::depth(&mut conn).await?;
    gauge!("aegis_dead_letters_waiting").set(number(waiting));
    gauge!("aegis_dead_letters_oldest_age_seconds").set(age(failed_at, now));
    Ok(())
}

/// A breaker's state as metrics.
pub(super) fn breaker(standing: &BreakerStanding) {
    for state in [
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
    ] {
        let is = f64::from(u8::from(state.as_str() == standing.state));
        gauge!("aegis_breaker_state", "dependency" => standing.name, "state" => state.as_str())
            .set(is);
    }
    counter!("aegis_breaker_opened_total", "dependency" => standing.name)
        .absolute(standing.opened_total);
    counter!("aegis_breaker_turned_away_total", "dependency" => standing.name)
        .absolute(standing.turned_away_total);
}

fn number(rows: i64) -> f64 {
    // Exact up to 2^53.
    rows as f64
}

fn age(since: Option<OffsetDateTime>, now: OffsetDateTime) -> f64 {
    since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0))
}
