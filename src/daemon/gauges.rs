//! Looks at what only the database knows, now and then, and puts it into the metrics; and at what the
//! process itself has: its pools and its queue.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::api::{BreakerStanding, Check, CheckStatus, Readiness};
use crate::engine::CommitterPulse;
use crate::postgres::dead_letters::index;
use crate::postgres::discrepancies::Class;
use crate::postgres::standing::{self, Count};
use crate::postgres::{in_time, outbox, retries, verify_runs, webhooks};
use crate::resilience::breaker::BreakerState;
use crate::resilience::failpoint;
use crate::telemetry::Metrics;

const EVERY: Duration = Duration::from_secs(5);
/// What is dearer to count is counted every so many looks.
const MONEY_LOOKS: u32 = 6;
/// How long a look may take: a server that is gone without a word must not end the looking.
const LOOK_MAX: Duration = Duration::from_secs(20);

/// A pool by the name that it has in the metrics.
pub(super) type NamedPool = (&'static str, PgPool);

/// Never ends. The first of the pools is the one that is looked through.
pub(super) async fn watch(pools: Vec<NamedPool>, committer: CommitterPulse, metrics: Metrics) {
    gauge!("aegis_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let mut looks: u32 = 0;
    loop {
        failpoint::reach(failpoint::GAUGES_TURNS);
        pools.iter().for_each(pool);
        committer.measure();
        if let Some((name, pool)) = pools.first() {
            let money = looks.is_multiple_of(MONEY_LOOKS);
            if let Err(error) = look(name, pool, money, OffsetDateTime::now_utc()).await {
                // That the database is away is told elsewhere.
                tracing::debug!(%error, "the depths of queues are not known");
            }
        }
        looks = looks.wrapping_add(1);
        metrics.tidy();
        tokio::time::sleep(EVERY).await;
    }
}

fn pool((name, pool): &NamedPool) {
    let name = *name;
    let (open, idle) = (
        pool.size(),
        u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
    );
    let limit = pool.options().get_max_connections();
    gauge!("aegis_pool_busy_connections", "pool" => name).set(f64::from(open.saturating_sub(idle)));
    gauge!("aegis_pool_idle_connections", "pool" => name).set(f64::from(idle));
    gauge!("aegis_pool_limit_connections", "pool" => name).set(f64::from(limit));
}

async fn look(
    name: &'static str,
    pool: &PgPool,
    with_money: bool,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let asked_at = Instant::now();
    let conn = pool.acquire().await;
    histogram!("aegis_pool_acquire_seconds", "pool" => name)
        .record(asked_at.elapsed().as_secs_f64());
    let mut conn = conn?;
    let looked = in_time(LOOK_MAX, look_over(&mut conn, with_money, now)).await;
    if looked.is_err() {
        // It may be in the middle of an answer, or hear of none any more.
        conn.close_on_drop();
    }
    looked
}

async fn look_over(
    conn: &mut PgConnection,
    with_money: bool,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    queues(conn, now).await?;
    looked("queues", now);
    if with_money {
        money(conn, now).await?;
        looked("money", now);
    }
    Ok(())
}

fn looked(what: &'static str, now: OffsetDateTime) {
    gauge!("aegis_looked_timestamp_seconds", "what" => what).set(number(now.unix_timestamp()));
}

async fn queues(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    let queue = outbox::glance(conn).await?;
    gauge!("aegis_outbox_rows").set(number(queue.rows));
    gauge!("aegis_outbox_refused_rows").set(number(queue.refused));
    gauge!("aegis_outbox_oldest_age_seconds").set(age(queue.oldest_at, now));
    let (rows, oldest_at) = retries::depth(conn).await?;
    gauge!("aegis_retries_rows").set(number(rows));
    gauge!("aegis_retries_oldest_age_seconds").set(age(oldest_at, now));
    let (rows, received_at) = webhooks::depth(conn).await?;
    gauge!("aegis_webhooks_waiting").set(number(rows));
    gauge!("aegis_webhooks_oldest_age_seconds").set(age(received_at, now));
    let (waiting, failed_at) = index::depth(conn).await?;
    gauge!("aegis_dead_letters_waiting").set(number(waiting));
    gauge!("aegis_dead_letters_oldest_age_seconds").set(age(failed_at, now));
    Ok(())
}

async fn money(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    let payments = standing::payments(conn).await?;
    counts(
        "aegis_payments_open",
        "status",
        &["created", "pending"],
        &payments,
    );
    gauge!("aegis_disputes_open").set(number(standing::disputes(conn).await?));
    let open = ["requested", "sent", "unknown"];
    let payouts = standing::payouts(conn).await?;
    counts("aegis_payouts_open", "status", &open, &payouts);
    gauge!("aegis_payouts_unknown_oldest_age_seconds").set(age(since(&payouts, "unknown"), now));
    let refunds = standing::refunds(conn).await?;
    counts("aegis_refunds_open", "status", &open, &refunds);
    gauge!("aegis_refunds_unknown_oldest_age_seconds").set(age(since(&refunds, "unknown"), now));
    let open = ["waiting", "running"];
    let runs = standing::payout_runs(conn).await?;
    counts("aegis_payout_runs_open", "status", &open, &runs);
    for status in open {
        gauge!("aegis_payout_runs_oldest_age_seconds", "status" => status)
            .set(age(since(&runs, status), now));
    }
    let found = standing::discrepancies(conn).await?;
    counts(
        "aegis_discrepancies_open",
        "class",
        &Class::ALL.map(Class::as_str),
        &found,
    );
    let oldest = found.iter().map(|class| class.since).min();
    gauge!("aegis_discrepancies_oldest_age_seconds").set(age(oldest, now));
    for wallet in standing::clearing(conn).await? {
        gauge!(
            "aegis_clearing_minor_units",
            "wallet" => wallet.wallet, "currency" => wallet.currency
        )
        .set(wallet.balance as f64);
    }
    let ledgers = verify_runs::last(conn).await?;
    let wrong = ledgers.iter().any(verify_runs::Verified::is_wrong);
    gauge!("aegis_verify_ok").set(f64::from(u8::from(!wrong)));
    let oldest = ledgers.iter().map(verify_runs::Verified::since).min();
    gauge!("aegis_verify_age_seconds").set(age(oldest, now));
    Ok(())
}

/// One gauge a name, 0 where there is none of that name any more.
fn counts(metric: &'static str, label: &'static str, names: &[&'static str], found: &[Count]) {
    for name in names {
        let count = found.iter().find(|one| one.name == *name);
        let count = count.map_or(0, |one| one.count);
        gauge!(metric, label => *name).set(number(count));
    }
}

fn since(counts: &[Count], name: &str) -> Option<OffsetDateTime> {
    let count = counts.iter().find(|one| one.name == name)?;
    Some(count.since)
}

/// What readiness says, as metrics.
pub(super) fn readiness(checks: &[Check], breakers: &[BreakerStanding]) {
    for check in checks {
        let up = f64::from(u8::from(check.status == CheckStatus::Ok));
        gauge!("aegis_dependency_up", "dependency" => check.name.clone()).set(up);
    }
    let ready = Readiness::new(checks.to_vec()).status != CheckStatus::Failed;
    gauge!("aegis_ready").set(f64::from(u8::from(ready)));
    breakers.iter().for_each(breaker);
}

/// For how long a loop has not turned.
pub(super) fn idle(name: &'static str, idle: Duration) {
    gauge!("aegis_loop_idle_seconds", "loop" => name).set(idle.as_secs_f64());
}

/// A breaker's state as metrics.
fn breaker(standing: &BreakerStanding) {
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
