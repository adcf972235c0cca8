//! One transfer at a time.

use serde_json::{Value, json};

use crate::support::{Ran, Tool};

fn post(tool: &Tool, more: &[&str]) -> Ran {
    let args = [
        "-o",
        "json",
        "transfer",
        "post",
        "--from",
        "world",
        "--to",
        "merchant:a",
    ];
    let args: Vec<&str> = args.iter().chain(more).copied().collect();
    tool.run(&args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_posted_once_under_its_key() {
    let tool = Tool::with_wallets("NGN").await;
    let asked = [
        "--currency",
        "NGN",
        "--amount",
        "1250.00",
        "--key",
        "k1",
        "--reference",
        "r",
        "--correlation-id",
        "c",
        "--effective-at",
        "2026-01-02T03:04:05+01:00",
        "--metadata",
        r#"{"b": 1, "a": [2]}"#,
    ];
    let first = post(&tool, &asked).exits(0);
    assert_eq!(first.stderr, "", "a key was given");
    let first = first.json();
    assert_eq!(first["status"], "posted");
    assert_eq!(first["idempotency_key"], "k1");
    assert_eq!(first["effective_at"], "2026-01-02T02:04:05Z");
    assert_eq!(first["metadata"], json!({"a": [2], "b": 1}));
    assert_eq!(first["entries"][0]["amount"], -125_000);
    assert_eq!(first["entries"][1]["address"], "merchant:a");
    assert_eq!(first["entries"][1]["balance_after"], 125_000);
    assert_eq!(first["entries"][1]["version"], 1);
    let again = post(&tool, &asked).exits(0).json();
    assert_eq!(again["status"], "replayed");
    assert_eq!(again["transaction_id"], first["transaction_id"]);
    let other = post(&tool, &["--currency", "NGN", "--minor", "5", "--key", "k1"])
        .exits(3)
        .json();
    assert_eq!(other["code"], "idempotency_key_reused");
    assert_eq!(tool.transactions().await, 1);

    let id = first["transaction_id"].as_str().unwrap();
    let shown = tool.json(&["transfer", "show", id]);
    assert_eq!(shown["status"], "posted");
    assert_eq!(shown["entries"].as_array().unwrap().len(), 2);
    let table = tool.run(&["transfer", "show", id]).exits(0).stdout;
    assert!(
        table.contains("-1250.00") && table.contains("merchant:a"),
        "{table}"
    );
    let rows = tool
        .run(&["-o", "csv", "transfer", "show", id])
        .exits(0)
        .csv();
    assert_eq!(rows.len(), 2);
    let nowhere = "018f4a7e-0000-7000-8000-000000000000";
    let missing = tool
        .run(&["-o", "json", "transfer", "show", nowhere])
        .exits(3)
        .json();
    assert_eq!(missing["code"], "transaction_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_one_is_made_up_and_told_for_a_safe_repeat() {
    let tool = Tool::with_wallets("NGN").await;
    let first = post(&tool, &["--currency", "NGN", "--minor", "5"]).exits(0);
    let key = first.json()["idempotency_key"].as_str().unwrap().to_owned();
    assert!(
        first.stderr.contains(&format!("--key {key}")),
        "{}",
        first.stderr
    );
    let again = post(&tool, &["--currency", "NGN", "--minor", "5", "--key", &key]).exits(0);
    assert_eq!(again.json()["status"], "replayed");
    assert_eq!(tool.balance("merchant:a"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_without_its_decimals_is_refused_with_both_readings() {
    let tool = Tool::with_wallets("NGN").await;
    let refused = post(&tool, &["--currency", "NGN", "--amount", "1250"]).exits(2);
    for expected in ["NGN 1250.00", "NGN 12.50"] {
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    for amount in [
        &["--amount", "12.345"][..],
        &["--amount", "1,250.00"],
        &["--amount", "NaN"],
        &["--amount", ""],
        &["--minor", "1.5"],
        &["--minor", ""],
        &["--amount", "1.00", "--minor", "100"],
        &[],
    ] {
        let args: Vec<&str> = ["--currency", "NGN"]
            .iter()
            .chain(amount)
            .copied()
            .collect();
        let ran = post(&tool, &args).exits(2);
        assert_eq!(ran.stdout, "", "{amount:?}");
    }
    for (more, name) in [
        (["--metadata", "[1]"], "--metadata"),
        (["--metadata", "{"], "--metadata"),
        (["--metadata", r#"{"a": 1, "a": 2}"#], "--metadata"),
        (
            ["--metadata", r#"{"a": 18446744073709551616}"#],
            "as a string",
        ),
        (["--effective-at", "now"], "--effective-at"),
        (["--reference", "a\tb"], "--reference"),
        (["--key", ""], "--key"),
    ] {
        let args: Vec<&str> = ["--currency", "NGN", "--minor", "1"]
            .iter()
            .chain(&more)
            .copied()
            .collect();
        let ran = post(&tool, &args).exits(2);
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
    assert_eq!(tool.transactions().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_ends_with_3_and_is_data() {
    let tool = Tool::with_wallets("NGN").await;
    let cases: [(&[&str], &str); 8] = [
        (
            &["--currency", "NGN", "--minor", "9223372036854775808"],
            "amount_too_large",
        ),
        (
            &["--currency", "NGN", "--minor", "-9223372036854775809"],
            "amount_too_large",
        ),
        (
            &["--currency", "NGN", "--amount", "92233720368547758.08"],
            "amount_too_large",
        ),
        (
            &["--currency", "NGN", "--minor", "0"],
            "amount_not_positive",
        ),
        (
            &["--currency", "NGN", "--amount", "-1.00"],
            "amount_not_positive",
        ),
        (&["--currency", "NGX", "--minor", "1"], "currency_unknown"),
        (
            &["--currency", "NGX", "--amount", "1.00"],
            "currency_unknown",
        ),
        (&["--currency", "USD", "--minor", "1"], "currency_mismatch"),
    ];
    for (more, code) in cases {
        let rejected = post(&tool, more).exits(3).json();
        assert_eq!(rejected["status"], "rejected");
        assert_eq!(rejected["code"], code, "{more:?}");
        assert!(rejected["detail"].is_string());
    }
    let out = [
        "--from",
        "merchant:a",
        "--to",
        "world",
        "--currency",
        "NGN",
        "--minor",
        "1",
    ];
    for format in ["table", "csv", "jsonl"] {
        let args: Vec<&str> = ["-o", format, "transfer", "post"]
            .iter()
            .chain(&out)
            .copied()
            .collect();
        let ran = tool.run(&args).exits(3);
        assert!(ran.stderr.contains("insufficient_funds"), "{}", ran.stderr);
        match format {
            "table" => assert_eq!(ran.stdout, ""),
            "csv" => assert_eq!(ran.csv()[0]["code"], "insufficient_funds"),
            _ => assert_eq!(
                ran.json()["detail"].as_str().map(str::is_empty),
                Some(false),
                "{ran:?}"
            ),
        }
    }
    assert_eq!(tool.transactions().await, 0);
    let _: Value = tool.json(&["ledger", "balance"]);
}
