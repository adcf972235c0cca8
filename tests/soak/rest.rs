//! Waits until all that was begun has come to an end.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::flat;
use crate::samples::{Sample, Sampler};
use crate::world::World;

/// Payouts and refunds of unknown outcome have their waits behind them by then.
const PATIENCE: Duration = Duration::from_secs(180);

/// Each counts what is not over.
const OPEN: [(&str, &str); 7] = [
    ("events", "SELECT count(*) FROM transaction_outbox"),
    ("messages", "SELECT count(*) FROM consumer_retries"),
    (
        "webhooks",
        "SELECT count(*) FROM psp_webhooks WHERE next_attempt_at IS NOT NULL",
    ),
    (
        "payments",
        "SELECT count(*) FROM payments WHERE status IN ('created', 'pending')",
    ),
    (
        "refunds",
        "SELECT count(*) FROM refunds WHERE status IN ('requested', 'sent', 'unknown')",
    ),
    (
        "payouts",
        "SELECT count(*) FROM payouts WHERE status IN ('requested', 'sent', 'unknown')",
    ),
    (
        "payout runs",
        "SELECT count(*) FROM payout_runs WHERE status IN ('waiting', 'running')",
    ),
];

/// Waits for it, and until no more is open than before, if that is given: how it is then.
pub(crate) async fn reached(
    world: &World,
    sampler: &mut Sampler,
    before: Option<&Sample>,
) -> Sample {
    let began = Instant::now();
    let mut quiet = 0;
    loop {
        let sample = sampler.take("").await;
        let mut open = what_is_open(world).await;
        if open.is_none() {
            open = before.and_then(|before| flat::kept(&sample, before));
        }
        quiet = if open.is_none() { quiet + 1 } else { 0 };
        // The metrics of pools are looked at every 5 s.
        if quiet > 12 {
            return sample;
        }
        let patience = began.elapsed() < PATIENCE;
        if !patience {
            let warnings = world.daemon.warnings();
            for warning in &warnings[warnings.len().saturating_sub(20)..] {
                eprintln!("{warning}");
            }
            panic!("it does not come to rest: {open:?}");
        }
        sleep(Duration::from_millis(500)).await;
    }
}

async fn what_is_open(world: &World) -> Option<String> {
    let mut conn = world.connect().await;
    for (what, query) in OPEN {
        let open: i64 = sqlx::query_scalar(query)
            .fetch_one(&mut conn)
            .await
            .unwrap();
        if open > 0 {
            return Some(format!("{open} {what}"));
        }
    }
    let webhooks = world.simulator.webhooks();
    if webhooks.waiting > 0 {
        let latest = webhooks.latest.iter().find(|one| one.state == "waiting");
        return Some(format!("{} webhooks: {latest:?}", webhooks.waiting));
    }
    assert_eq!(webhooks.given_up, 0, "each webhook is taken");
    let url = format!("http://{}/readyz", world.daemon.address);
    let ready = reqwest::get(url).await.unwrap().json::<Value>().await;
    let ready = ready.unwrap();
    (ready["status"] != "ok").then(|| ready.to_string())
}
