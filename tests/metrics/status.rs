//! `aegisctl status`: one screen, and an exit code by what was seen.

use std::process::Command;

use aegis::ledger::Ledger;
use aegis::postgres::discrepancies::{self, Class, Finding};
use serde_json::Value;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::main_ledger;
use crate::common::merchant::{TERMS, merchant};
use crate::common::ran::Ran;
use crate::scene::Scene;
use crate::support::daemon::Settings;

/// The tool on a database, looking for its aegisd at this address.
pub(crate) fn aegisctl(database: &TestDatabase, address: &str, args: &[&str]) -> Ran {
    let (host, port) = address.rsplit_once(':').unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .args(args)
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("REDIS_ADDRESS", "")
        .env("SERVER_HOST", host)
        .env("SERVER_PORT", port)
        .output()
        .unwrap();
    Ran::of(output)
}

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

fn check<'v>(status: &'v Value, name: &str) -> &'v Value {
    let mut checks = status["checks"].as_array().unwrap().iter();
    let found = checks.find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {status}"))
}

fn assert_says(status: &Value, name: &str, health: &str, words: &str) {
    let check = check(status, name);
    let detail = check["detail"].as_str().unwrap();
    assert!(
        check["status"] == health && detail.contains(words),
        "{check}"
    );
}

/// A payout of unknown outcome that was sent so long ago.
async fn unknown_payout(pool: &PgPool, ledger: &Ledger, ago: Duration) {
    let (id, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
    sqlx::query("INSERT INTO psp_references VALUES ('paystack', $1, $2, 'payout', $3)")
        .bind(id.to_string())
        .bind(ledger.id)
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO payouts (ledger_id, id, idempotency_key, request_hash, merchant, currency,
             terms_version, amount, psp, reference, recipient, requested_by, status, attempts,
             doubtful_since, doubtful_until, next_attempt_at, created_at, updated_at)
         VALUES ($1, $2, $3, pg_catalog.sha256('x'::bytea), 'acme', 'NGN', 1, 500, 'paystack', $3,
                 'RCP_acme', 'tester', 'unknown', 1, $4, $4, $5, $4, $4)",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(id.to_string())
    .bind(now - ago)
    .bind(now + Duration::hours(1))
    .execute(pool)
    .await
    .unwrap();
}

async fn discrepancy(pool: &PgPool, ledger: &Ledger) {
    let finding = Finding {
        class: Class::Amount,
        source: "webhook",
        identity: "of this test",
        psp: Some("paystack"),
        reference: None,
        subject: None,
        expected: None,
        found: None,
        detail: "500 came where 700 were expected",
        occurred_at: None,
    };
    let mut conn = pool.acquire().await.unwrap();
    let now = OffsetDateTime::now_utc();
    let opened = discrepancies::open(&mut conn, ledger.id, &finding, now).await;
    assert!(opened.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_on_one_screen_and_ends_with_0() {
    let scene = Scene::new().await;
    scene.traffic().await;
    let address = scene.daemon.address.clone();
    let status = aegisctl(&scene.database, &address, &["-o", "json", "status"]);
    let status = status.exits(0).json();
    assert_says(&status, "aegisd", "ok", "serving");
    assert_says(&status, "relay", "ok", "running");
    assert_says(&status, "breakers", "ok", "paystack closed");
    assert_says(&status, "payments", "ok", "1 ");
    assert_says(&status, "verify", "ok", "never verified");
    assert_eq!(status["depths"]["dead_letters"]["count"], 0);
    let screen = aegisctl(&scene.database, &address, &["status"])
        .exits(0)
        .stdout;
    for name in [
        "NAME",
        "database",
        "kafka",
        "bus",
        "outbox",
        "discrepancies",
        "verify",
    ] {
        let shown = screen
            .lines()
            .any(|line| line.trim_start().starts_with(name));
        assert_eq!(shown, name != "kafka", "{name}:\n{screen}");
    }
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test]
async fn what_a_person_has_to_see_to_ends_with_4() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
    let look = |code| {
        aegisctl(&database, NOBODY, &["-o", "json", "status"])
            .exits(code)
            .json()
    };
    let pool = database.pool();
    unknown_payout(pool, &ledger, Duration::minutes(10)).await;
    let status = look(0);
    assert_says(
        &status,
        "payouts",
        "degraded",
        "1 unknown; the oldest unknown one was sent 10 min",
    );
    assert_says(&status, "aegisd", "off", "no aegisd answers");
    unknown_payout(pool, &ledger, Duration::minutes(45)).await;
    let status = look(4);
    assert_says(
        &status,
        "payouts",
        "attention",
        "payout list --status unknown",
    );
    assert_eq!(status["depths"]["payouts"]["unknown"]["count"], 2);
    discrepancy(pool, &ledger).await;
    let status = look(4);
    assert_says(&status, "discrepancies", "attention", "1 amount; open for");
    assert_eq!(status["ok"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_loop_is_told_of_and_ends_with_4() {
    let database = TestDatabase::create().await;
    let settings = Settings::new(database.url())
        .with("RELAY_POLL_MS", "100")
        .with("SERVER_STUCK_AFTER_MS", "1000");
    let daemon = settings.start().await;
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE transaction_outbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let stuck = || aegisctl(&database, &daemon.address, &["-o", "json", "status"]);
    let began = std::time::Instant::now();
    let status = loop {
        let ran = stuck().exits(4);
        let status = ran.json();
        if check(&status, "aegisd")["status"] != "ok" {
            break status;
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "{ran:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert_says(&status, "aegisd", "failed", "relay has not turned");
    assert_says(&status, "database", "failed", "can't be read within");
    assert_says(&status, "outbox", "off", "unknown");
    assert_eq!(status["loops"].as_array().unwrap().len(), 2);
    blocker.rollback().await.unwrap();
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn watching_in_a_pipe_prints_a_block_a_look() {
    let database = TestDatabase::create().await;
    let watch = ["status", "--watch", "--interval", "1", "--count", "2"];
    let mut lines = vec!["-o", "jsonl"];
    lines.extend(watch);
    let ran = aegisctl(&database, NOBODY, &lines).exits(0);
    let looks: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(looks.len(), 2);
    assert!(looks[0]["at"].as_str() < looks[1]["at"].as_str());
    let ran = aegisctl(&database, NOBODY, &watch).exits(0);
    assert_eq!(ran.stdout.matches("NAME").count(), 2, "{}", ran.stdout);
    assert!(
        !ran.stdout.contains('\u{1b}'),
        "no terminal, no control: {}",
        ran.stdout
    );
}

#[test]
fn watching_is_asked_for_before_its_options() {
    let away = "postgres://127.0.0.1:1/x";
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .args(["status", "--interval", "5"])
        .env_clear()
        .env("DATABASE_URL", away)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
