//! Importing files that are not as they should be.

use serde_json::Value;

use crate::support::{Ran, Tool};

const HEADER: &str = "key,from,to,currency,minor,reference";

/// `line status code` of each row.
fn verdicts(ran: &Ran) -> Vec<String> {
    let word = |outcome: &Value, name: &str| outcome[name].as_str().unwrap().to_owned();
    ran.csv()
        .iter()
        .map(|outcome| {
            ["line", "status", "code"]
                .map(|name| word(outcome, name))
                .join(" ")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_row_is_named_by_its_line_and_the_others_go_on() {
    let tool = Tool::with_wallets("NGN").await;
    let mut text = format!("{HEADER}\n").into_bytes();
    let rows: [&[u8]; 13] = [
        b"k2,world,merchant:a,NGN,1,",
        b"k3,world,merchant:a,NGN",
        b"k4,world,merchant:a,NGN,1,\"over\ntwo lines\"",
        b"k6,world,merchant:a,NGN,1,\xff",
        b",world,merchant:a,NGN,1,",
        b"k8,world,MERCHANT,NGN,1,",
        b"k9,world,merchant:a,NGN,1.5,",
        b"k10,merchant:b,world,NGN,1,",
        b"k11,world,nobody,NGN,1,",
        b"k12,world,merchant:a,NGX,1,",
        b"k13,world,merchant:a,NGN,0,",
        b"k14,world,merchant:a,NGN,9223372036854775808,",
        b"k15,world,merchant:a,NGN,1,last",
    ];
    for row in rows {
        text.extend_from_slice(row);
        text.push(b'\n');
    }
    tool.file("in.csv", text);
    for batch in ["1", "3", "2000"] {
        let ran = tool
            .run(&["transfer", "import", "in.csv", "--batch", batch])
            .exits(5);
        let posted = if batch == "1" { "posted" } else { "replayed" };
        assert_eq!(
            verdicts(&ran),
            [
                &format!("2 {posted} "),
                "3 invalid record_malformed",
                "4 invalid field_invalid",
                "6 invalid not_utf8",
                "7 invalid field_missing",
                "8 invalid field_invalid",
                "9 invalid field_invalid",
                "10 rejected insufficient_funds",
                "11 rejected wallet_not_found",
                "12 rejected currency_unknown",
                "13 rejected amount_not_positive",
                "14 rejected amount_too_large",
                &format!("15 {posted} "),
            ],
            "{batch}"
        );
        let outcomes = ran.csv();
        for (n, expected) in [
            (1, "4 fields"),
            (2, "reference: "),
            (3, "reference: "),
            (4, "key: "),
            (5, "to: "),
        ] {
            let detail = outcomes[n]["detail"].as_str().unwrap();
            assert!(detail.contains(expected), "{detail}");
        }
    }
    assert_eq!(tool.balance("merchant:a"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_of_json_is_named_and_the_others_go_on() {
    let tool = Tool::with_wallets("NGN").await;
    let row = |key: &str, more: &str| {
        format!(r#"{{"key":"{key}","from":"world","to":"merchant:a","currency":"NGN"{more}}}"#)
    };
    let lines = [
        row("k1", r#","minor":1"#),
        "{\"key\":\"k2\"".to_owned(),
        row("k3", r#","minor":1,"memo":"x""#),
        row("k4", r#","amount":1"#),
        row("k5", r#","minor":1,"amount":"0.01""#),
        row("k6", ""),
        "[]".to_owned(),
        format!(r#"{{"key":"k8","reference":"{}"}}"#, "x".repeat(2 << 20)),
        row("k9", r#","minor":9223372036854775808"#),
        row("k10", r#","minor":1"#),
    ];
    tool.file("in.jsonl", lines.join("\n"));
    let ran = tool.run(&["transfer", "import", "in.jsonl"]).exits(5);
    assert_eq!(
        verdicts(&ran),
        [
            "1 posted ",
            "2 invalid record_malformed",
            "3 invalid record_malformed",
            "4 invalid amount_ambiguous",
            "5 invalid field_invalid",
            "6 invalid field_missing",
            "7 invalid record_malformed",
            "8 invalid record_too_long",
            "9 rejected amount_too_large",
            "10 posted ",
        ]
    );
    let detail = ran.csv()[2]["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("memo") && !detail.contains("line 1"),
        "{detail}"
    );
    assert_eq!(tool.balance("merchant:a"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_quote_is_named_by_its_line_and_the_others_go_on() {
    let tool = Tool::with_wallets("NGN").await;
    let row = |n: usize| format!("k{n},world,merchant:a,NGN,1,\n");
    // As long as a record may be: the first quote meets the limit, the other one the end.
    let long = "x".repeat((1 << 20) - 20);
    let text = format!(
        "{HEADER}\n{}k3,world,merchant:a,NGN,1,\"open\n{}{long}\n{}\
         k7,world,merchant:a,NGN,1,\"open\n{}{}",
        row(2),
        row(4),
        row(6),
        row(8),
        row(9)
    );
    tool.file("in.csv", &text);
    let expected = |status| {
        [
            format!("2 {status} "),
            "3 invalid record_malformed".to_owned(),
            format!("4 {status} "),
            "5 invalid record_malformed".to_owned(),
            format!("6 {status} "),
            "7 invalid record_malformed".to_owned(),
            format!("8 {status} "),
            format!("9 {status} "),
        ]
    };
    let ran = tool.run(&["transfer", "import", "in.csv"]).exits(5);
    assert_eq!(verdicts(&ran), expected("posted"));
    for n in [1, 5] {
        let detail = ran.csv()[n]["detail"].as_str().unwrap().to_owned();
        let said = "a quote is opened on this line and never closed";
        assert!(detail.starts_with(said), "{detail}");
    }
    let piped = tool
        .run_with_input(&["transfer", "import", "-", "--batch", "1"], &text)
        .exits(5);
    assert_eq!(verdicts(&piped), expected("replayed"));
    assert_eq!(tool.balance("merchant:a"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_takes_lines_along_is_asked_about() {
    let tool = Tool::with_wallets("NGN").await;
    let text = format!(
        "{HEADER}\nk2,world,merchant:a,NGN,1,\"open\nk3,world,merchant:a,NGN,1,\"x\"\n\
         k4,world,merchant:a,NGN,1,\n"
    );
    tool.file("in.csv", text);
    let ran = tool.run(&["transfer", "import", "in.csv"]).exits(5);
    assert_eq!(verdicts(&ran), ["2 invalid field_invalid", "4 posted "]);
    let detail = ran.csv()[0]["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.ends_with("runs over 2 lines: is a quote not closed?"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_at_all_ends_with_2_and_posts_nothing() {
    let tool = Tool::with_wallets("NGN").await;
    let row = "\nk,world,merchant:a,NGN,1\n";
    let cases: [(&str, String, &str); 9] = [
        ("empty.csv", String::new(), "empty"),
        ("empty.jsonl", String::new(), "empty"),
        ("array.json", format!("[{row}]"), "array"),
        (
            "missing.csv",
            format!("key,from,to,minor{row}"),
            "line 1: the column \"currency\"",
        ),
        (
            "unknown.csv",
            format!("key,from,to,currency,minors{row}"),
            "\"minors\" is unknown",
        ),
        (
            "twice.csv",
            format!("key,from,to,currency,minor,key{row}"),
            "\"key\" is there twice",
        ),
        (
            "both.csv",
            format!("key,from,to,currency,minor,amount{row}"),
            "both minor and amount",
        ),
        (
            "semicolons.csv",
            "key;from;to;currency;minor\n".to_owned(),
            "commas",
        ),
        (
            "none.csv",
            "k,world,merchant:a,NGN,1\n".to_owned(),
            "line 1",
        ),
    ];
    for (name, content, expected) in cases {
        tool.file(name, content);
        let ran = tool.run(&["transfer", "import", name]).exits(2);
        assert_eq!(ran.stdout, "");
        assert!(
            ran.stderr.contains(expected) && ran.stderr.contains(name),
            "{}",
            ran.stderr
        );
    }
    tool.file("latin.csv", b"key,from,to,currency,minor,\xe9\n");
    tool.run(&["transfer", "import", "latin.csv"]).exits(2);
    tool.run(&["transfer", "import", "no-such.csv"]).exits(2);
    tool.run(&["transfer", "import", "."]).exits(2);
    assert_eq!(tool.transactions().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_not_written_over_something_else() {
    let tool = Tool::with_wallets("NGN").await;
    let input = format!("{HEADER}\nk,world,merchant:a,NGN,1,\n");
    tool.file("in.csv", &input);
    tool.file("precious.csv", "name,wage\n");
    // A device is written to, and nothing of it is cut off.
    tool.run(&["transfer", "import", "in.csv", "--outcomes", "/dev/null"])
        .exits(0);
    let full = tool
        .run(&["transfer", "import", "in.csv", "--outcomes", "/dev/full"])
        .exits(1);
    assert!(
        full.stderr.contains("/dev/full can't be written"),
        "{}",
        full.stderr
    );
    let into_itself = ["transfer", "import", "in.csv", "--outcomes", "./in.csv"];
    tool.run(&into_itself).exits(2);
    assert_eq!(tool.read("in.csv"), input);
    tool.run(&["transfer", "import", "in.csv", "--outcomes", "precious.csv"])
        .exits(2);
    assert_eq!(tool.read("precious.csv"), "name,wage\n");
    tool.run(&[
        "transfer",
        "import",
        "in.csv",
        "--outcomes",
        "no/such/dir.csv",
    ])
    .exits(2);
    assert_eq!(tool.transactions().await, 1);
}
