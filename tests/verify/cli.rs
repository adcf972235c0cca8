//! `aegisctl ledger verify`, as cron and people run it.

use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::book::Book;

fn aegisctl(book: &Book, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
    command
        .env("DATABASE_URL", book.database.url())
        .env_remove("AEGIS_LEDGER")
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it beside the test's own runtime.
async fn run(book: &Book, args: &[&str]) -> Output {
    let mut command = aegisctl(book, args);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_sound_ledger_ends_with_0_and_the_report_on_all_checks() {
    let book = Book::new().await;
    let output = run(&book, &["-o", "json", "ledger", "verify"]).await;
    assert_eq!(output.status.code(), Some(0));
    let report = json(&output);
    for (field, expected) in [
        ("ok", Value::from(true)),
        ("ledger", "main".into()),
        ("transactions", 5.into()),
        ("entries", 13.into()),
        ("wallets", 5.into()),
    ] {
        assert_eq!(report[field], expected, "{field}");
    }
    assert!(report["seconds"].is_number() && report["entries_per_second"].is_number());
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| &check["name"]).collect();
    assert_eq!(
        names,
        [
            "zero_sum",
            "totals",
            "balances",
            "versions",
            "hash_chain",
            "references",
            "outbox",
            "payouts",
            "refunds"
        ]
    );
    for check in checks {
        assert_eq!(check["ok"], true);
        assert_eq!(check["violations"], 0);
        assert!(check["checked"].is_u64() && check["first"].is_null());
    }
}

#[tokio::test]
async fn a_violation_ends_with_4_and_says_where_and_how_to_look() {
    let book = Book::new().await;
    book.tamper("UPDATE wallets SET balance = balance + 1 WHERE id = $a")
        .await;
    let output = run(&book, &["-o", "json", "ledger", "verify", "--full"]).await;
    assert_eq!(output.status.code(), Some(4));
    let report = json(&output);
    assert_eq!(report["ok"], false);
    let balances = &report["checks"][2];
    assert_eq!(balances["name"], "balances");
    assert_eq!(balances["first"]["address"], "a");
    assert_eq!(balances["first"]["currency"], "NGN");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("error: balances: a NGN, version 4: "));
    // What it says to look with shows it.
    let look = balances["first"]["look"].as_str().unwrap();
    let look: Vec<_> = look.split(' ').skip(1).chain(["-o", "json"]).collect();
    let shown = json(&run(&book, &look).await);
    assert_eq!(shown["balance"], 461);
}

#[tokio::test]
async fn people_get_a_table_and_scripts_one_row_a_check() {
    let book = Book::new().await;
    let output = run(&book, &["ledger", "verify"]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("hash_chain  yes       13           0"),
        "{table}"
    );
    let output = run(&book, &["-o", "csv", "ledger", "verify", "--wallet", "b"]).await;
    let csv = String::from_utf8(output.stdout).unwrap();
    assert_eq!(csv.lines().count(), 5);
    assert!(csv.contains("\nversions,yes,4,0,,\n"), "{csv}");
}

#[tokio::test]
async fn what_can_t_be_verified_has_its_exit_code() {
    let book = Book::new().await;
    for (args, code) in [
        (["--wallet", "nobody"], 3),
        (["--ledger", "nowhere"], 2),
        (["--connections", "9"], 2),
        (["--currency", "NGN"], 2),
    ] {
        let args = [&["ledger", "verify"][..], &args[..]].concat();
        let output = run(&book, &args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[tokio::test]
async fn an_interrupted_verification_ends_with_130() {
    let book = Book::new().await;
    let mut holder = book.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let child: Child = aegisctl(&book, &["ledger", "verify"]).spawn().unwrap();
    crate::live::until_connections_are(&book, 1).await;
    let pid = child.id().to_string();
    let signalled = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(signalled.success());
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap())
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(130));
    holder.rollback().await.unwrap();
}
