//! Wallets: made, shown, listed, and what moved them.

use serde_json::{Value, json};

use crate::support::Tool;

fn post(tool: &Tool, minor: i64, reference: &str) -> Value {
    let minor = minor.to_string();
    tool.json(&[
        "transfer",
        "post",
        "--from",
        "world",
        "--to",
        "merchant:a",
        "--currency",
        "NGN",
        "--minor",
        &minor,
        "--reference",
        reference,
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_has_the_documented_shape_and_is_made_once() {
    let tool = Tool::new().await;
    let create = [
        "wallet",
        "create",
        "merchant:acme:available",
        "--currency",
        "NGN",
    ];
    let made = tool.json(&create);
    let id = made["id"].clone();
    assert_eq!(
        made,
        json!({
            "id": id, "ledger": "main", "address": "merchant:acme:available", "currency": "NGN",
            "balance": 0, "held": 0, "available": 0, "min_balance": 0, "version": 0,
            "status": "active",
        })
    );
    let args: Vec<&str> = ["-o", "json"].iter().chain(&create).copied().collect();
    let again = tool.run(&args).exits(0);
    assert_eq!(again.json()["id"], id);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    // By its id, and by its address alone as long as that has one wallet.
    assert_eq!(
        tool.json(&["wallet", "show", id.as_str().unwrap()])["id"],
        id
    );
    assert_eq!(
        tool.json(&["wallet", "show", "merchant:acme:available"])["id"],
        id
    );
    let args: Vec<&str> = create
        .iter()
        .copied()
        .chain(["--min-balance", "none", "-o", "json"])
        .collect();
    let other = tool.run(&args).exits(3);
    assert_eq!(other.json()["code"], "wallet_exists");
    let outside = tool.json(&[
        "wallet",
        "create",
        "w",
        "--currency",
        "JPY",
        "--min-balance",
        "none",
    ]);
    assert_eq!(outside["min_balance"], Value::Null);
    let overdraft = tool.json(&[
        "wallet",
        "create",
        "o",
        "--currency",
        "JPY",
        "--min-balance",
        "-500",
    ]);
    assert_eq!(overdraft["min_balance"], -500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_not_there_is_a_rules_no() {
    let tool = Tool::with_wallets("NGN").await;
    let missing = tool
        .run(&["-o", "json", "wallet", "show", "nobody"])
        .exits(3);
    assert_eq!(missing.json()["status"], "rejected");
    assert_eq!(missing.json()["code"], "wallet_not_found");
    tool.run(&["wallet", "show", "merchant:a", "--currency", "USD"])
        .exits(3);
    tool.wallet("merchant:a", "USD", None);
    let which = tool.run(&["wallet", "show", "merchant:a"]).exits(2);
    assert!(which.stderr.contains("NGN, USD"), "{}", which.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_formats_say_the_same() {
    let tool = Tool::with_wallets("NGN").await;
    post(&tool, 125_000, "first");
    let list = ["wallet", "list", "--prefix", "merchant:"];
    let run = |format: &str| {
        let args: Vec<&str> = ["-o", format].iter().chain(&list).copied().collect();
        tool.run(&args).exits(0)
    };
    let json = run("json").json();
    assert_eq!(json[0]["balance"], 125_000);
    let lines: Vec<Value> = run("jsonl")
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(Value::Array(lines), json);
    let rows = run("csv").csv();
    assert_eq!(rows.len(), 2);
    for (row, wallet) in rows.iter().zip(json.as_array().unwrap()) {
        for (name, value) in wallet.as_object().unwrap() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(row[name], text, "{name}");
        }
    }
    let table = run("table").stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[1].contains("1250.00"), "{table}");
    // Money stands at the right.
    assert_eq!(
        lines[0].find("BALANCE").unwrap() + 7,
        lines[1].find("1250.00").unwrap() + 7
    );
    assert_eq!(
        lines[2].find("0.00").unwrap() + 4,
        lines[1].find("1250.00").unwrap() + 7
    );
    assert!(!table.contains('\u{1b}'), "no colours outside a terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_cut_says_so_and_how_to_go_on() {
    let tool = Tool::new().await;
    for n in 0..5 {
        tool.wallet(&format!("w{n}"), "NGN", None);
    }
    let first = tool
        .run(&["-o", "csv", "wallet", "list", "--limit", "2"])
        .exits(0);
    assert_eq!(first.csv().len(), 2);
    assert!(first.stderr.contains("--after w1/NGN"), "{}", first.stderr);
    let rest = tool
        .run(&["-o", "json", "wallet", "list", "--after", "w1/NGN"])
        .exits(0);
    assert_eq!(rest.json().as_array().unwrap().len(), 3);
    assert_eq!(rest.stderr, "");
    let all = tool
        .run(&["-o", "jsonl", "wallet", "list", "--all"])
        .exits(0);
    assert_eq!(all.stdout.lines().count(), 5);
    let quiet = tool.run(&["-q", "wallet", "list", "--limit", "2"]).exits(0);
    assert_eq!(quiet.stderr, "");
    let none = tool
        .run(&["-o", "csv", "wallet", "list", "--prefix", "x"])
        .exits(0);
    assert!(
        none.stdout.starts_with("id,ledger,address,"),
        "{}",
        none.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_lists_what_moved_a_wallet_between_two_times() {
    let tool = Tool::with_wallets("NGN").await;
    let posted: Vec<Value> = [("one, \"two\"", 500), ("b", 300), ("c", 200)]
        .map(|(reference, minor)| {
            // Times of recording are whole milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(3));
            post(&tool, minor, reference)
        })
        .into();
    let statement = |more: &[&str]| {
        let args: Vec<&str> = ["wallet", "statement", "merchant:a"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        tool.json(&args)
    };
    let all = statement(&[]);
    let amounts: Vec<i64> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .collect();
    assert_eq!(amounts, [500, 300, 200]);
    assert_eq!(all[2]["balance_after"], 1_000);
    assert_eq!(all[0]["transaction_id"], posted[0]["transaction_id"]);
    let at = posted[1]["recorded_at"].as_str().unwrap();
    assert_eq!(statement(&["--from", at]).as_array().unwrap().len(), 2);
    assert_eq!(statement(&["--to", at]).as_array().unwrap().len(), 1);
    assert_eq!(
        statement(&["--after", "1", "--limit", "1"])[0]["version"],
        2
    );
    assert_eq!(
        tool.json(&["wallet", "show", "merchant:a", "--at", at])["balance"],
        500
    );
    assert_eq!(
        tool.json(&["wallet", "show", "merchant:a", "--at", "2020-01-01"])["balance"],
        0
    );
    assert_eq!(tool.balance("merchant:a"), 1_000);
    let csv = tool
        .run(&["-o", "csv", "wallet", "statement", "merchant:a"])
        .exits(0)
        .csv();
    assert_eq!(csv[0]["reference"], "one, \"two\"");
    assert_eq!(csv[0]["amount"], "500");
    tool.run(&["wallet", "statement", "merchant:a", "--from", "yesterday"])
        .exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_are_counted_and_listed() {
    let tool = Tool::with_wallets("NGN").await;
    for n in 0..3 {
        post(&tool, 5, &format!("r{n}"));
    }
    let status = tool.json(&["outbox", "status"]);
    assert_eq!(status["rows"], 3);
    assert_eq!(status["relay_running"], false);
    let events = tool
        .run(&["-o", "json", "outbox", "list", "--limit", "2"])
        .exits(0);
    assert_eq!(events.json()[0]["event_type"], "aegis.transaction.posted");
    assert!(events.json()[0]["payload"]["transaction_id"].is_string());
    assert!(events.stderr.contains("--after"), "{}", events.stderr);
}
