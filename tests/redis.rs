//! Redis is never the authority: with it all is well, without it all goes on and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

mod common;
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use common::TestDatabase;
use common::ledger::{main_ledger, read_wallet, wallet};
use serde_json::{Value, json};
use support::PATIENCE;
use support::daemon::{Daemon, Settings};
use support::redis::Redis;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// What the daemon's log says when something comes or goes.
const CHANGE: &str = "a dependency changed";

/// The readiness, which is 200 whatever Redis does.
async fn readiness(daemon: &Daemon) -> Value {
    let answer = reqwest::get(format!("http://{}/readyz", daemon.address)).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// What a list of checks says of Redis.
fn redis_of(status: &Value) -> &Value {
    let checks = status["checks"].as_array().unwrap();
    let redis = checks.iter().find(|check| check["name"] == "redis");
    redis.unwrap_or(&Value::Null)
}

/// Waits until the readiness says so of Redis, and gives it whole.
async fn redis_becomes(daemon: &Daemon, status: &str) -> Value {
    let started = Instant::now();
    loop {
        let readiness = readiness(daemon).await;
        if redis_of(&readiness)["status"] == status {
            return readiness;
        }
        assert!(started.elapsed() < PATIENCE, "{readiness}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// `aegisctl status`, which ends with 0 whatever Redis does.
fn status(database: &TestDatabase, redis: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("REDIS_ADDRESS", redis)
        .env("BUS", "local")
        .args(["-o", "json", "status"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn post(daemon: &Daemon, key: &str) -> u16 {
    let url = format!("http://{}/v1/ledgers/main/transfers", daemon.address);
    let body = json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    let request = reqwest::Client::new().post(url);
    let request = request.header("Idempotency-Key", key).json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_at_hand_the_daemon_and_the_tool_say_ok() {
    let redis = std::env::var("REDIS_ADDRESS")
        .expect("REDIS_ADDRESS is set: run eval \"$(dev/stack env)\" first, or make test");
    let database = TestDatabase::create().await;
    let settings = Settings::new(database.url()).with("REDIS_ADDRESS", &redis);
    let mut daemon = settings.start().await;
    let readiness = redis_becomes(&daemon, "ok").await;
    assert_eq!(readiness["status"], "ok", "{readiness}");
    // aegisd is ready before its relay is at work, which the tool looks at, too.
    daemon.logged("this relay has the outbox").await;

    let status = status(&database, &redis);
    assert_eq!(redis_of(&status)["status"], "ok", "{status}");
    let detail = redis_of(&status)["detail"].as_str().unwrap();
    assert!(detail.contains(&redis), "{detail}");
    assert_eq!(status["ok"], true, "{status}");
    assert!(!daemon.has_logged(CHANGE), "that it is there is no news");
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_postings_go_on_and_each_change_is_told_once() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    let mut redis = Redis::start().await;
    let address = redis.address();
    let settings = Settings::new(database.url()).with("REDIS_ADDRESS", &address);
    let daemon = settings.start().await;
    redis_becomes(&daemon, "ok").await;
    assert_eq!(post(&daemon, "before").await, 201);

    redis.stop().await;
    let readiness = redis_becomes(&daemon, "degraded").await;
    assert_eq!(readiness["status"], "degraded", "{readiness}");
    assert_eq!(post(&daemon, "during").await, 201);
    assert_eq!(post(&daemon, "before").await, 201, "PostgreSQL knows");
    let status = status(&database, &address);
    assert_eq!(redis_of(&status)["status"], "degraded", "{status}");
    assert_eq!(status["ok"], false, "{status}");
    look_in_vain(&address).await;

    redis.revive().await;
    let readiness = redis_becomes(&daemon, "ok").await;
    assert_eq!(readiness["status"], "ok", "{readiness}");
    assert_eq!(post(&daemon, "after").await, 201);
    look_again(&redis).await;

    let told = daemon.all_logged(CHANGE);
    let told: Vec<_> = told
        .iter()
        .map(|line| (&line["part"], &line["status"]))
        .collect();
    let [part, away, back] = ["redis", "Degraded", "Ok"].map(Value::from);
    assert_eq!(told, [(&part, &away), (&part, &back)]);
    assert_eq!(daemon.stop().await, Some(0));
    let shop = read_wallet(database.pool(), &ledger, "shop", "NGN").await;
    assert_eq!(shop.balance, 15);
}

/// Waits until the daemon has knocked twice at a place where nobody answers: all that it had to
/// tell of the knock before is in its log.
async fn look_in_vain(address: &str) {
    let nobody = TcpListener::bind(address).await.unwrap();
    for _ in 0..2 {
        let knock = tokio::time::timeout(PATIENCE, nobody.accept());
        drop(knock.await.expect("it goes on looking").unwrap());
    }
}

/// The same where it is answered.
async fn look_again(redis: &Redis) {
    let (pings, started) = (redis.pings().await, Instant::now());
    while redis.pings().await < pings + 2 {
        assert!(started.elapsed() < PATIENCE, "it looks no more");
        sleep(Duration::from_millis(20)).await;
    }
}
