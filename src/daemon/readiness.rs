//! Looks at what the daemon depends on, over and over, and tells the API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::watch;

use super::gauges;
use crate::api::{BreakerStanding, Check, CheckStatus, Readiness};
use crate::bus::Bus;
use crate::cache::{self, Cache};
use crate::config::SecretUrl;
use crate::postgres;
use crate::psp::Paystack;
use crate::resilience::failpoint;

const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);
/// A relay that did not turn for so long is stuck.
const RELAY_TURN_MAX: Duration = Duration::from_secs(30);

pub(super) async fn watch(
    pool: PgPool,
    redis: Option<(SecretUrl, Cache)>,
    bus: Arc<Bus>,
    psp: Option<Paystack>,
    mut relay_turns: watch::Receiver<u64>,
    report: watch::Sender<Readiness>,
) {
    let mut relay_turned = tokio::time::Instant::now();
    let mut before = Vec::new();
    loop {
        failpoint::reach(failpoint::READINESS_TURNS);
        if relay_turns.has_changed().unwrap_or(false) {
            relay_turns.mark_unchanged();
            relay_turned = tokio::time::Instant::now();
        }
        let mut checks = Vec::new();
        if let Some((address, _)) = &redis {
            checks.push(match cache::ping(address, PATIENCE).await {
                Ok(()) => Check::ok("redis"),
                Err(_) => Check::degraded("redis", "no answer; PostgreSQL alone decides"),
            });
        }
        if let Bus::Kafka(_) = &*bus {
            checks.push(match bus.ping(PATIENCE).await {
                Ok(_) => Check::ok("kafka"),
                Err(_) => Check::degraded("kafka", "no answer; events wait in the outbox"),
            });
        }
        checks.push(if relay_turned.elapsed() < RELAY_TURN_MAX {
            Check::ok("relay")
        } else {
            Check::degraded("relay", "its loop does not turn; events wait in the outbox")
        });
        let of_redis = redis.iter().map(|(_, cache)| cache.breaker());
        let of_bus = bus.breaker().into_iter();
        let of_bus = of_bus.map(|breaker| breaker.report(Instant::now()));
        let of_psp = psp.iter().map(Paystack::breaker);
        let all = of_redis.chain(of_bus).chain(of_psp);
        let breakers: Vec<BreakerStanding> = all.map(Into::into).collect();
        report.send_replace(Readiness::new(checks.clone()).with_breakers(breakers.clone()));
        // The probe asks the database itself; here it is for the log and the metrics.
        checks.push(database(&pool).await);
        gauges::readiness(&checks, &breakers);
        log_changes(&before, &checks);
        before = checks;
        tokio::time::sleep(EVERY).await;
    }
}

async fn database(pool: &PgPool) -> Check {
    match postgres::ping(pool, PATIENCE).await {
        Some(Ok(())) => Check::ok("database"),
        Some(Err(error)) => Check::failed("database", format!("can't be reached: {error}")),
        None => Check::failed("database", format!("no answer within {PATIENCE:?}")),
    }
}

/// One line a change, none a look.
fn log_changes(before: &[Check], now: &[Check]) {
    for check in now {
        let was = before.iter().find(|other| other.name == check.name);
        let was = was.map_or(CheckStatus::Ok, |other| other.status);
        if was != check.status {
            let detail = check.detail.as_deref().unwrap_or("back");
            tracing::warn!(part = %check.name, status = ?check.status, detail, "a dependency changed");
        }
    }
}
