//! The installed units on a machine of their own, under a systemd that runs: shut in as they are shipped.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::callers::{Callers, with_wallets};
use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};
use crate::machine::Machine;
use crate::pages::page;
use crate::support::PATIENCE;

const DAEMON: &str = "aegisd.service";
const PAYOUTS: &str = "aegis-payouts.service";

fn settings(database: &TestDatabase) -> [(&str, &str); 4] {
    [
        ("DATABASE_URL", database.url()),
        ("BUS", "local"),
        ("REDIS_ADDRESS", ""),
        ("RUST_LOG", "info,aegis::request=warn"),
    ]
}

/// Until all that it needs answers.
async fn ready(machine: &Machine) {
    let began = Instant::now();
    let url = format!("http://{}/readyz", machine.address);
    while reqwest::get(&url).await.map(|answer| answer.status()).ok() != Some(StatusCode::OK) {
        assert!(began.elapsed() < PATIENCE, "{}", machine.journal());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_service_serves_when_its_start_is_over_and_ends_well() {
    const TEST: &str = "the_shipped_service_serves_when_its_start_is_over_and_ends_well";
    let database = TestDatabase::create().await;
    let Some(machine) = Machine::boot(TEST, &settings(&database), "").await else {
        return;
    };
    machine.systemctl(&["start", DAEMON]);
    // Not waited for: a start is over when READY=1 was said.
    let url = format!("http://{}", machine.address);
    let live = reqwest::get(format!("{url}/livez")).await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    ready(&machine).await;
    // What it lacked a moment ago it may say for another look.
    let (began, serving) = (Instant::now(), format!("serving {}", machine.address));
    while machine.property(DAEMON, "StatusText") != serving {
        assert!(began.elapsed() < PATIENCE, "{}", machine.journal());
        sleep(Duration::from_millis(50)).await;
    }

    let main = machine.property(DAEMON, "MainPID");
    let own = machine.run(&["cat", &format!("/proc/{main}/status")]);
    let own = String::from_utf8(own.stdout).unwrap();
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(own.contains(line), "{line}: {own}");
    }
    let account = machine.run(&["stat", "--format=%U", &format!("/proc/{main}")]);
    assert_eq!(String::from_utf8_lossy(&account.stdout).trim(), "aegis");
    // What it tells of itself it can read, shut in as it is.
    let metrics = reqwest::get(format!("{url}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for name in [
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
        "process_cpu_seconds_total ",
    ] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    machine.systemctl(&["reload", DAEMON]);
    machine.logged("the configuration was read again").await;

    machine.systemctl(&["stop", "aegisd.socket", DAEMON]);
    assert_eq!(machine.property(DAEMON, "Result"), "success");
    assert_eq!(machine.property(DAEMON, "ExecMainStatus"), "0");
    assert_eq!(machine.property(DAEMON, "NRestarts"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_by_systemd_refuses_no_connection_and_a_crash_is_made_up_for() {
    const TEST: &str = "a_restart_by_systemd_refuses_no_connection_and_a_crash_is_made_up_for";
    let (database, ledger) = with_wallets().await;
    let Some(machine) = Machine::boot(TEST, &settings(&database), "").await else {
        return;
    };
    machine.systemctl(&["start", DAEMON]);
    let callers = Callers::of(machine.address);
    for _ in 0..3 {
        callers.are_answered(50).await;
        machine.systemctl(&["restart", DAEMON]);
    }
    callers.are_answered(50).await;
    let posted = callers.end().await;
    let shop = read_wallet(database.pool(), &ledger, "shop", "NGN").await;
    assert_eq!(usize::try_from(shop.balance).unwrap(), posted);

    machine.systemctl(&["kill", "--signal=KILL", DAEMON]);
    restarted(&machine).await;
    // Its socket was open all the while: this waits for the new one.
    let live = reqwest::get(format!("http://{}/livez", machine.address)).await;
    assert_eq!(live.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wedged_relay_is_killed_by_the_watchdog_and_started_anew() {
    const TEST: &str = "a_wedged_relay_is_killed_by_the_watchdog_and_started_anew";
    let database = TestDatabase::create().await;
    let mut settings = settings(&database).to_vec();
    settings.extend([("RELAY_POLL_MS", "100"), ("SERVER_STUCK_AFTER_MS", "1000")]);
    let Some(machine) = Machine::boot(TEST, &settings, "WatchdogSec=3s").await else {
        return;
    };
    machine.systemctl(&["start", DAEMON]);
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE transaction_outbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    restarted(&machine).await;
    machine.logged("the watchdog is not fed").await;
    blocker.rollback().await.unwrap();
    ready(&machine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_it_cannot_start_its_socket_stays_open_and_it_is_started_again() {
    const TEST: &str =
        "however_often_it_cannot_start_its_socket_stays_open_and_it_is_started_again";
    const NO_DATABASE: &str = "main process exited, code=exited, status=7";
    // More than the 5 in 10 s after which systemd gives a unit up by itself.
    const OFTEN: usize = 8;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database).to_vec();
    settings.push(("DATABASE_URL", "postgres://aegis@nowhere.invalid/aegis"));
    let Some(machine) = Machine::boot(TEST, &settings, "").await else {
        return;
    };
    machine.systemctl(&["start", "aegisd.socket"]);
    // A connection that waits is what a socket starts its service for.
    let url = format!("http://{}/readyz", machine.address);
    let waiting = tokio::spawn(async move {
        loop {
            match reqwest::get(&url).await {
                Ok(answer) => return answer.status(),
                Err(error) => assert!(!error.is_connect(), "{error:?}"),
            }
        }
    });
    let began = Instant::now();
    while machine
        .journal()
        .to_lowercase()
        .matches(NO_DATABASE)
        .count()
        < OFTEN
    {
        assert!(!waiting.is_finished(), "{}", machine.journal());
        assert!(began.elapsed() < PATIENCE, "{}", machine.journal());
        sleep(Duration::from_millis(50)).await;
    }
    let line = format!(
        "echo DATABASE_URL={} >> /etc/aegis/aegisd.env",
        database.url()
    );
    assert!(machine.run(&["sh", "-c", &line]).status.success());
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payouts_unit_ends_well_with_nothing_due_and_fails_by_the_runs_own_code() {
    const TEST: &str = "the_payouts_unit_ends_well_with_nothing_due_and_fails_by_the_runs_own_code";
    let database = TestDatabase::create().await;
    let Some(machine) = Machine::boot(TEST, &settings(&database), "").await else {
        return;
    };
    machine.systemctl(&["start", PAYOUTS]);
    assert_eq!(machine.property(PAYOUTS, "Result"), "success");
    machine.logged("no payout is due").await;
    machine.systemctl(&["start", "aegis-payouts.timer"]);
    let next = machine.property("aegis-payouts.timer", "NextElapseUSecRealtime");
    assert!(
        next.contains("18:00:00") || next.contains("18:30:00"),
        "{next}"
    );

    let nowhere = "DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing";
    let line = format!("echo {nowhere} >> /etc/aegis/aegisd.env");
    assert!(machine.run(&["sh", "-c", &line]).status.success());
    let started = machine.run(&["systemctl", "start", PAYOUTS]);
    assert!(!started.status.success(), "{started:?}");
    assert_eq!(machine.property(PAYOUTS, "ExecMainStatus"), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verifying_unit_ends_well_and_fails_when_a_row_was_changed_by_hand() {
    const TEST: &str = "the_verifying_unit_ends_well_and_fails_when_a_row_was_changed_by_hand";
    const VERIFY: &str = "aegis-verify.service";
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    let Some(machine) = Machine::boot(TEST, &settings(&database), "").await else {
        return;
    };
    machine.systemctl(&["start", VERIFY]);
    assert_eq!(machine.property(VERIFY, "Result"), "success");
    sqlx::query("UPDATE wallets SET balance = 7")
        .execute(database.pool())
        .await
        .unwrap();
    let started = machine.run(&["systemctl", "start", VERIFY]);
    assert!(!started.status.success(), "{started:?}");
    assert_eq!(machine.property(VERIFY, "ExecMainStatus"), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pages_tell_to_do_with_systemd_works() {
    const TEST: &str = "what_the_pages_tell_to_do_with_systemd_works";
    let database = TestDatabase::create().await;
    let Some(machine) = Machine::boot(TEST, &settings(&database), "").await else {
        return;
    };
    let mut run = 0;
    for path in ["docs/install.md", "docs/runbook.md"] {
        let blocks = page(path).shell().into_iter();
        for block in blocks.filter(|block| block.not_run.as_deref() == Some("tests/supervision")) {
            let place = "postgres://aegis:password@localhost/aegis";
            let text = block.text.replace(place, database.url());
            let done = machine.run(&["bash", "-euo", "pipefail", "-c", &text]);
            let line = block.line;
            assert!(
                done.status.success(),
                "{path}:{line}: {done:?}\n{}",
                machine.journal()
            );
            run += 1;
        }
    }
    assert!(run >= 4, "{run}");
    assert_eq!(machine.property(DAEMON, "ActiveState"), "active");
    assert_eq!(machine.property(DAEMON, "UnitFileState"), "enabled");
}

/// Waits until systemd has started the daemon anew, and it serves.
async fn restarted(machine: &Machine) {
    let began = Instant::now();
    let again = || {
        machine.property(DAEMON, "NRestarts") != "0"
            && machine.property(DAEMON, "ActiveState") == "active"
    };
    while !again() {
        assert!(began.elapsed() < PATIENCE, "{}", machine.journal());
        sleep(Duration::from_millis(50)).await;
    }
}
