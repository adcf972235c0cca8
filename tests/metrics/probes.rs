//! Probes of a running aegisd.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::TestDatabase;
use crate::support::PATIENCE;
use crate::support::daemon::{Daemon, Settings};

async fn probe(daemon: &Daemon, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{}{path}", daemon.address))
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

async fn until(daemon: &Daemon, path: &str, wanted: u16) -> Value {
    let began = Instant::now();
    loop {
        let (status, body) = probe(daemon, path).await;
        if status == wanted {
            return body;
        }
        assert!(began.elapsed() < PATIENCE, "{path} stays {status}: {body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_loop_fails_liveness_and_nothing_else() {
    let database = TestDatabase::create().await;
    let settings = Settings::new(database.url())
        .with("RELAY_POLL_MS", "100")
        .with("SERVER_STUCK_AFTER_MS", "1000")
        // Loops are looked at twice within that time.
        .with("NOTIFY_SOCKET", "/dev/null")
        .with("WATCHDOG_USEC", "400000");
    let daemon = settings.start().await;
    until(&daemon, "/startupz", 200).await;
    // The relay may take longer than that to connect.
    let alive = until(&daemon, "/livez", 200).await;
    assert_eq!(alive["status"], "ok", "{alive}");
    // The relay waits for the table, as it would for a database that hangs.
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE transaction_outbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let dead = until(&daemon, "/livez", 503).await;
    assert_eq!(dead["status"], "failed");
    let loops = dead["loops"].as_array().unwrap();
    let of = |name: &str| loops.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("relay")["status"], "failed", "{dead}");
    assert!(of("relay")["idle_ms"].as_u64() > Some(1_000), "{dead}");
    assert_eq!(of("committer")["status"], "ok", "{dead}");
    // Requests are served meanwhile.
    until(&daemon, "/readyz", 200).await;
    blocker.rollback().await.unwrap();
    until(&daemon, "/livez", 200).await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_is_done_without_degrades_readiness_and_is_told_in_metrics() {
    let database = TestDatabase::create().await;
    // Nobody listens there.
    let settings = Settings::new(database.url()).with("REDIS_ADDRESS", "127.0.0.1:1");
    let daemon = settings.start().await;
    until(&daemon, "/startupz", 200).await;
    let ready = until(&daemon, "/readyz", 200).await;
    assert_eq!(ready["status"], "degraded", "{ready}");
    let checks = ready["checks"].as_array().unwrap();
    let redis = checks
        .iter()
        .find(|check| check["name"] == "redis")
        .unwrap();
    assert_eq!(redis["status"], "degraded");
    let database_check = checks
        .iter()
        .find(|check| check["name"] == "database")
        .unwrap();
    assert_eq!(database_check["status"], "ok");
    let began = Instant::now();
    let wanted = [
        "aegis_dependency_up{dependency=\"redis\"} 0",
        "aegis_ready 1",
    ];
    loop {
        let text = reqwest::get(format!("http://{}/metrics", daemon.address))
            .await
            .unwrap();
        let text = text.text().await.unwrap();
        if wanted
            .iter()
            .all(|line| text.lines().any(|found| found == *line))
        {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(daemon.stop().await, Some(0));
}
