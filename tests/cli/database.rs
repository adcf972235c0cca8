//! A database that is away, empty, too old or too new; migrations; status.

use crate::common::TestDatabase;
use crate::support::{Tool, run_alone};

#[test]
fn a_database_that_is_not_there_ends_with_7_and_one_sentence() {
    // Nobody listens at a port that only root may have.
    let url = "postgres://me:hunter2@127.0.0.1:1/books";
    for verb in [
        &["wallet", "list"][..],
        &["migrate", "up"],
        &["migrate", "status"],
        &["ledger", "balance"],
        &["outbox", "status"],
        &["bench", "post"],
        &["bench", "api"],
        &["bench", "verify"],
        &[
            "transfer",
            "post",
            "--from",
            "a",
            "--to",
            "b",
            "--currency",
            "NGN",
            "--minor",
            "1",
        ],
    ] {
        let ran = run_alone(verb, &[("DATABASE_URL", url), ("RUST_BACKTRACE", "1")]).exits(7);
        assert_eq!(ran.stdout, "");
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        let place = "127.0.0.1:1/books";
        for expected in [place, "check DATABASE_URL", "start PostgreSQL"] {
            assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_that_database_or_role_is_told_apart() {
    let tool = Tool::new().await;
    let missing = format!("{}_gone", tool.database.url());
    let ran = run_alone(&["wallet", "list"], &[("DATABASE_URL", &missing)]).exits(7);
    assert!(ran.stderr.contains("no such database"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_brought_up_once() {
    let tool = Tool::on(TestDatabase::empty().await);
    let refused = tool.run(&["wallet", "list"]).exits(2);
    assert!(
        refused.stderr.contains("aegisctl migrate up"),
        "{}",
        refused.stderr
    );
    let before = tool.json(&["migrate", "status"]);
    assert!(
        before
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["status"] == "missing")
    );
    let applied = tool.json(&["migrate", "up"]);
    assert_eq!(
        applied.as_array().unwrap().len(),
        before.as_array().unwrap().len()
    );
    let again = tool.run(&["-o", "json", "migrate", "up"]).exits(0);
    assert_eq!(again.json().as_array().unwrap().len(), 0);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    let after = tool.json(&["migrate", "status"]);
    assert!(
        after
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["status"] == "applied")
    );
    tool.run(&["wallet", "list"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_program_is_left_alone_and_both_versions_named() {
    let tool = Tool::new().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (987654, 'of the future', true, ''::bytea, 0)",
    )
    .execute(tool.database.pool())
    .await
    .unwrap();
    let program = aegis::postgres::migrate::program_version();
    for verb in [&["wallet", "list"][..], &["migrate", "up"]] {
        let ran = tool.run(verb).exits(2);
        assert!(ran.stderr.contains("987654"), "{}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("up to {program}")),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_every_dependency_and_ends_by_what_it_saw() {
    let tool = Tool::new().await;
    let status = tool.json(&["status"]);
    let check = |status: &serde_json::Value, name: &str| {
        let checks = status["checks"].as_array().unwrap().clone();
        checks
            .into_iter()
            .find(|check| check["name"] == name)
            .unwrap()["status"]
            .clone()
    };
    assert_eq!(check(&status, "database"), "ok");
    assert_eq!(check(&status, "schema"), "ok");
    assert_eq!(check(&status, "redis"), "off");
    assert_eq!(check(&status, "bus"), "ok");
    assert_eq!(check(&status, "relay"), "degraded");
    assert_eq!(check(&status, "outbox"), "ok");

    let mut command = tool.command(&["-o", "json", "status"]);
    command
        .env("REDIS_ADDRESS", "127.0.0.1:1")
        .env("BUS", "kafka");
    let output = command
        .env("KAFKA_BROKERS", "127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["ok"], false);
    assert_eq!(check(&status, "redis"), "degraded");
    assert_eq!(check(&status, "kafka"), "degraded");

    let variables = [
        ("DATABASE_URL", "postgres://127.0.0.1:1/x"),
        ("REDIS_ADDRESS", ""),
    ];
    let away = run_alone(&["-o", "json", "status"], &variables)
        .exits(7)
        .json();
    assert_eq!(check(&away, "database"), "failed");
    let empty = Tool::on(TestDatabase::empty().await);
    let behind = empty.run(&["-o", "json", "status"]).exits(2).json();
    assert_eq!(check(&behind, "schema"), "failed");
}
