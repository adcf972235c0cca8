//! That a ledger was verified is written down, and told.

use time::{Duration, OffsetDateTime};

use aegis::postgres::audit::Actor;
use aegis::postgres::verify_runs::{self, VerifyRun};

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, wallet};
use crate::scene::Exported;
use crate::status::aegisctl;
use crate::support::PATIENCE;
use crate::support::daemon::Settings;

const NOBODY: &str = "127.0.0.1:1";

async fn runs(database: &TestDatabase) -> Vec<(bool, Vec<String>)> {
    sqlx::query_as("SELECT ok, failed_checks FROM verify_runs ORDER BY id")
        .fetch_all(database.pool())
        .await
        .unwrap()
}

fn run(failed: &[&str], finished_at: OffsetDateTime) -> VerifyRun {
    VerifyRun {
        failed_checks: failed.iter().map(|name| (*name).to_owned()).collect(),
        transactions: 1,
        entries: 2,
        wallets: 2,
        started_at: finished_at - Duration::seconds(1),
        finished_at,
    }
}

async fn record(database: &TestDatabase, run: &VerifyRun) {
    let ledger = main_ledger(database.pool()).await;
    let actor = Actor {
        name: "tester".to_owned(),
        host: "here".to_owned(),
    };
    let mut conn = database.pool().acquire().await.unwrap();
    verify_runs::record(&mut conn, ledger.id, run, &actor)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_whole_ledger_that_was_verified_is_written_down_and_a_wallet_is_not() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    let verify = ["ledger", "verify"];
    aegisctl(&database, NOBODY, &verify).exits(0);
    assert_eq!(runs(&database).await, [(true, Vec::new())]);
    let one = ["ledger", "verify", "--wallet", "world", "--currency", "NGN"];
    aegisctl(&database, NOBODY, &one).exits(0);
    assert_eq!(runs(&database).await.len(), 1);
    let status = aegisctl(&database, NOBODY, &["-o", "json", "status"])
        .exits(0)
        .json();
    assert_eq!(status["depths"]["verify"][0]["ok"], true);
    // Money from nowhere.
    sqlx::query("UPDATE wallets SET balance = 700 WHERE address = 'world'")
        .execute(database.pool())
        .await
        .unwrap();
    aegisctl(&database, NOBODY, &verify).exits(4);
    let runs = runs(&database).await;
    assert!(
        !runs[1].0 && runs[1].1.contains(&"balances".to_owned()),
        "{runs:?}"
    );
    let status = aegisctl(&database, NOBODY, &["-o", "json", "status"])
        .exits(4)
        .json();
    let checks = status["checks"].as_array().unwrap();
    let verify = checks
        .iter()
        .find(|check| check["name"] == "verify")
        .unwrap();
    assert_eq!(verify["status"], "failed", "{verify}");
}

#[tokio::test]
async fn what_was_written_down_stays_as_it_is() {
    let database = TestDatabase::create().await;
    record(&database, &run(&[], OffsetDateTime::now_utc())).await;
    for statement in [
        "UPDATE verify_runs SET ok = false",
        "DELETE FROM verify_runs",
        "TRUNCATE verify_runs",
    ] {
        let refused = sqlx::query(statement).execute(database.pool()).await;
        assert!(refused.is_err(), "{statement}");
    }
    let insert = "INSERT INTO verify_runs (ledger_id, ok, failed_checks, transactions, entries,
                      wallets, run_by, run_from, started_at, finished_at) VALUES ";
    for (row, constraint) in [
        (
            "(1, false, '{}', 0, 0, 0, 'a', 'b', now(), now())",
            "verify_runs_ok_without_failed_checks",
        ),
        (
            "(1, true, '{x}', 0, 0, 0, 'a', 'b', now(), now())",
            "verify_runs_ok_without_failed_checks",
        ),
        (
            "(1, true, '{}', 0, -1, 0, 'a', 'b', now(), now())",
            "verify_runs_counts_from_zero",
        ),
        (
            "(1, true, '{}', 0, 0, 0, 'a', 'b', now(), now() - interval '1 s')",
            "verify_runs_ended_after_they_began",
        ),
        (
            "(4711, true, '{}', 0, 0, 0, 'a', 'b', now(), now())",
            "verify_runs_ledger_exists",
        ),
    ] {
        let statement = sqlx::AssertSqlSafe(format!("{insert}{row}"));
        let refused = sqlx::query(statement)
            .execute(database.pool())
            .await
            .unwrap_err();
        let refused_by = refused
            .as_database_error()
            .and_then(|error| error.constraint());
        assert_eq!(refused_by, Some(constraint), "{row}");
    }
    assert_eq!(runs(&database).await, [(true, Vec::new())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_the_last_verification_of_the_ledger_that_has_waited_longest() {
    let database = TestDatabase::create().await;
    let now = OffsetDateTime::now_utc();
    record(&database, &run(&["zero_sum"], now - Duration::hours(30))).await;
    let daemon = Settings::new(database.url()).start().await;
    let told = async || {
        let began = std::time::Instant::now();
        loop {
            let text = reqwest::get(format!("http://{}/metrics", daemon.address))
                .await
                .unwrap();
            let exported = Exported::read(&text.text().await.unwrap());
            let ok = exported.value("aegis_verify_ok", &[]);
            if let (Some(ok), Some(age)) = (ok, exported.value("aegis_verify_age_seconds", &[])) {
                return (ok, age);
            }
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let (ok, age) = told().await;
    assert_eq!(ok, 0.0, "it found something");
    assert!((108_000.0..112_000.0).contains(&age), "{age}");
    assert_eq!(daemon.stop().await, Some(0));
}
