//! Importing files that are as they should be.

use serde_json::{Value, json};

use crate::support::Tool;

const HEADER: &str = "key,from,to,currency,minor";

fn csv_of(rows: usize) -> String {
    let rows: String = (0..rows)
        .map(|n| format!("k{n},world,merchant:a,NGN,{}\n", n + 1))
        .collect();
    format!("{HEADER}\n{rows}")
}

fn sum_of(rows: i64) -> i64 {
    rows * (rows + 1) / 2
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_a_csv_takes_effect_once() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file("in.csv", csv_of(1_234));
    let import = ["transfer", "import", "in.csv", "--batch", "500"];
    let first = tool.run(&import).exits(0);
    let outcomes = first.csv();
    assert_eq!(outcomes.len(), 1_234);
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["line"], (n + 2).to_string());
        assert_eq!(outcome["key"], format!("k{n}"));
        assert_eq!(outcome["status"], "posted");
        assert_eq!(outcome["code"], "");
    }
    assert!(
        first
            .stdout
            .starts_with("line,key,status,transaction_id,code"),
        "{}",
        first.stdout
    );
    assert!(first.stderr.contains("1,234 posted"), "{}", first.stderr);
    let second = tool.run(&import).exits(0);
    let replayed = second.csv();
    assert!(
        replayed
            .iter()
            .all(|outcome| outcome["status"] == "replayed")
    );
    assert_eq!(replayed[7]["transaction_id"], outcomes[7]["transaction_id"]);
    assert_eq!(tool.balance("merchant:a"), sum_of(1_234));
    assert_eq!(tool.transactions().await, 1_234);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_say_the_same_as_csv() {
    let tool = Tool::with_wallets("NGN").await;
    let rows = [
        json!({"key": "a", "from": "world", "to": "merchant:a", "currency": "NGN", "minor": 5}),
        json!({"key": "b", "from": "world", "to": "merchant:a", "currency": "NGN",
               "amount": "1.25", "reference": "r", "correlation_id": "c",
               "effective_at": "2026-01-02T03:04:05Z", "metadata": {"x": [1, {"y": null}]}}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    tool.file("in.jsonl", &lines);
    let ran = tool
        .run(&["-o", "jsonl", "transfer", "import", "in.jsonl"])
        .exits(0);
    let outcomes: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(outcomes[1]["line"], 2);
    assert_eq!(outcomes[1]["status"], "posted");
    assert_eq!(outcomes[1]["code"], Value::Null);
    let summary: Value = serde_json::from_str(ran.stderr.trim()).unwrap();
    assert_eq!(
        (&summary["read"], &summary["posted"]),
        (&2.into(), &2.into())
    );
    let id = outcomes[1]["transaction_id"].as_str().unwrap();
    let posted = tool.json(&["transfer", "show", id]);
    assert_eq!(posted["reference"], "r");
    assert_eq!(posted["correlation_id"], "c");
    assert_eq!(posted["effective_at"], "2026-01-02T03:04:05Z");
    assert_eq!(posted["metadata"], json!({"x": [1, {"y": null}]}));

    // The same requests as CSV are replays: nothing of them differs.
    tool.file(
        "in.csv",
        "reference,key,to,from,amount,currency,metadata,effective_at,correlation_id\r\n\
         ,a,merchant:a,world,0.05,NGN,,,\r\n\
         r,b,merchant:a,world,1.25,NGN,\"{\"\"x\"\": [1, {\"\"y\"\": null}]}\",\
         2026-01-02T04:04:05+01:00,other\r\n",
    );
    let again = tool.run(&["transfer", "import", "in.csv"]).exits(0).csv();
    assert!(
        again.iter().all(|outcome| outcome["status"] == "replayed"),
        "{again:?}"
    );
    assert_eq!(tool.balance("merchant:a"), 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_read_in_either_format() {
    let tool = Tool::with_wallets("NGN").await;
    let import = ["transfer", "import", "-"];
    let csv = format!("\u{feff}{}", csv_of(3));
    assert_eq!(tool.run_with_input(&import, &csv).exits(0).csv().len(), 3);
    let line = r#"{"key":"j","from":"world","to":"merchant:b","currency":"NGN","minor":7}"#;
    let lines = format!("\n  {line}");
    let outcomes = tool.run_with_input(&import, &lines).exits(0).csv();
    assert_eq!(outcomes[0]["line"], "2");
    // A name or an option that says otherwise wins over the look of it.
    let forced = ["transfer", "import", "-", "--format", "csv"];
    tool.run_with_input(&forced, line).exits(2);
    assert_eq!(tool.balance("merchant:b"), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_outcomes_in_a_file_the_summary_is_the_data() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file("in.csv", csv_of(10));
    let import = |format: &str, file: &str| {
        tool.run(&[
            "-o",
            format,
            "transfer",
            "import",
            "in.csv",
            "--outcomes",
            file,
        ])
        .exits(0)
    };
    let summary = import("json", "out.csv").json();
    assert_eq!(summary["posted"], 10);
    for name in [
        "read", "posted", "replayed", "rejected", "invalid", "seconds",
    ] {
        assert!(summary[name].is_number(), "{name}");
    }
    assert!(
        tool.read("out.csv")
            .starts_with("line,key,status,transaction_id,code")
    );
    assert_eq!(tool.read("out.csv").lines().count(), 11);
    // The file's name says its format, else the option does.
    assert_eq!(import("csv", "out.jsonl").csv()[0]["replayed"], "10");
    assert!(tool.read("out.jsonl").starts_with("{\"line\":2,"));
    import("jsonl", "out").json();
    assert!(tool.read("out").starts_with("{\"line\":2,"));
    // Written anew by the next run.
    import("json", "out.csv");
    assert_eq!(tool.read("out.csv").matches("replayed").count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_twice_in_a_file_takes_effect_once() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file(
        "in.csv",
        format!(
            "{HEADER}\nk,world,merchant:a,NGN,5\nk,world,merchant:a,NGN,5\n\
             k,world,merchant:a,NGN,6\n"
        ),
    );
    let outcomes = tool.run(&["transfer", "import", "in.csv"]).exits(5).csv();
    let statuses: Vec<&str> = outcomes
        .iter()
        .map(|outcome| outcome["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["posted", "replayed", "rejected"]);
    assert_eq!(outcomes[2]["code"], "idempotency_key_reused");
    assert_eq!(tool.balance("merchant:a"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_rows_is_done() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file("in.csv", HEADER);
    let ran = tool.run(&["transfer", "import", "in.csv"]).exits(0);
    assert_eq!(ran.stdout, "line,key,status,transaction_id,code,detail\n");
}
