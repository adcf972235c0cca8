//! Readers that go away, and signals.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::support::Tool;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let tool = Tool::new().await;
    sqlx::query(
        "INSERT INTO wallets (ledger_id, id, address, currency, head_hash)
         SELECT 1, gen_random_uuid(), 'w' || n, 'NGN', decode(repeat('00', 32), 'hex') FROM generate_series(1, 5000) n",
    )
    .execute(tool.database.pool())
    .await
    .unwrap();
    for format in ["table", "json", "jsonl", "csv"] {
        let mut child = tool
            .command(&["-o", format, "wallet", "list", "--all"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        drop(stdout);
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "", "{format}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{format}");
        assert!(!first.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_reader_of_help_is_no_error() {
    let tool = Tool::new().await;
    let mut child = tool
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((said.as_str(), child.wait().unwrap().code()), ("", Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_is_no_error() {
    let tool = Tool::with_wallets("NGN").await;
    let mut child = tool
        .command(&["-vv", "-o", "jsonl", "wallet", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}
