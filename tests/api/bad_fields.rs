//! Every field of every body, and every way to get it wrong: the answer's status, its code, the
//! fields that it names, and that nothing was written.

use aegis::engine::REQUEST_COMMANDS_MAX;

use crate::support::TestApi;

const TRANSFERS: &str = "/v1/ledgers/main/transfers";
const BATCH: &str = "/v1/ledgers/main/transfers/batch";
const TRANSACTIONS: &str = "/v1/ledgers/main/transactions";
const WALLETS: &str = "/v1/ledgers/main/wallets";

/// The text of an object: these fields, of which one is replaced, added, or left out.
fn object(fields: &[(&str, &str)], name: &str, value: Option<&str>) -> String {
    let mut pairs: Vec<String> = Vec::new();
    for (field, raw) in fields {
        match value {
            Some(value) if *field == name => pairs.push(format!("{field:?}: {value}")),
            None if *field == name => {}
            _ => pairs.push(format!("{field:?}: {raw}")),
        }
    }
    if let Some(value) = value
        && fields.iter().all(|(field, _)| *field != name)
    {
        pairs.push(format!("{name:?}: {value}"));
    }
    format!("{{{}}}", pairs.join(", "))
}

/// Sends the text and looks at the refusal.
async fn refused(api: &TestApi, path: &str, text: &str, code: &str, fields: &[&str]) {
    let before = api.rows().await;
    let answer = api.post_text(path, "some-key", text.to_owned()).await;
    let shown: String = text.chars().take(300).collect();
    assert_eq!(answer.status, 422, "{shown}: {}", answer.body);
    assert_eq!(answer.code(), code, "{shown}: {}", answer.body);
    assert_eq!(answer.fields(), fields, "{shown}: {}", answer.body);
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{shown}"
    );
    for error in answer.body["errors"].as_array().unwrap() {
        let problem = error["problem"].as_str().unwrap();
        let tells = ["write", "leave", "send", "has more"]
            .iter()
            .any(|word| problem.contains(word));
        assert!(tells, "{shown}: {problem:?} doesn't tell what to write");
    }
    assert_eq!(api.rows().await, before, "{shown}");
}

fn text_of(length: usize) -> String {
    format!("\"{}\"", "x".repeat(length))
}

/// What no field of text takes.
const NO_TEXT: [&str; 6] = ["5", "1.5", "true", "[]", "{}", "\"\\ud800\""];
const NO_WALLET: [&str; 7] = [
    "null",
    "\"\"",
    "\"A\"",
    "\"a::b\"",
    "\"a b\"",
    "\"a:b:c:d:e:f:g:h:i\"",
    "\"é\"",
];
const NO_AMOUNT: [&str; 9] = [
    "null", "\"5\"", "\"\"", "5.0", "0.1", "1e3", "1e400", "false", "[5]",
];
const BEYOND_I64: [&str; 3] = [
    "9223372036854775808",
    "-9223372036854775809",
    "100000000000000000000000000000000",
];

fn no_metadata() -> Vec<String> {
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let abyss = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    let large = format!("{{\"a\": {}}}", text_of(16 * 1024));
    let mut wrong = vec![deep, abyss, large];
    wrong.extend(
        [
            "\"x\"",
            "[]",
            "5",
            "true",
            "{\"a\": \"\\u0000\"}",
            "{\"a\": 1e999}",
            "{\"a\": [{\"b\": 1, \"b\": 2}]}",
            "{\"a\": 18446744073709551616}",
            "{\"a\": [-9223372036854775809]}",
        ]
        .map(str::to_owned),
    );
    wrong
}

const TRANSFER: [(&str, &str); 4] = [
    ("source", "\"world\""),
    ("destination", "\"shop\""),
    ("currency", "\"NGN\""),
    ("amount", "5"),
];

/// Every wrong value of a transfer's fields: the field, the value, the code.
fn wrong_transfers() -> Vec<(&'static str, Option<String>, &'static str)> {
    let mut rows = Vec::new();
    let mut row = |field, value: &str, code| rows.push((field, Some(value.to_owned()), code));
    for field in ["source", "destination"] {
        for value in NO_TEXT.iter().chain(&NO_WALLET) {
            row(field, value, "fields_invalid");
        }
        row(field, &text_of(256), "fields_invalid");
    }
    for value in NO_TEXT.iter().chain(&["null"]) {
        row("currency", value, "fields_invalid");
    }
    for value in NO_AMOUNT {
        row("amount", value, "fields_invalid");
    }
    for value in BEYOND_I64 {
        row("amount", value, "amount_too_large");
    }
    for field in ["reference", "correlation_id", "effective_at"] {
        for value in NO_TEXT.iter().chain(&["\"a\\u0000b\"", "\"a\\nb\""]) {
            row(field, value, "fields_invalid");
        }
        row(field, &text_of(256), "fields_invalid");
    }
    for value in [
        "\"\"",
        "\"yesterday\"",
        "\"2026-02-30T00:00:00Z\"",
        "\"0001-01-01T00:00:00Z\"",
    ] {
        row("effective_at", value, "fields_invalid");
    }
    for value in no_metadata() {
        row("metadata", &value, "fields_invalid");
    }
    for (unknown, value) in [("amonut", "5"), ("", "null"), ("Amount", "5")] {
        row(unknown, value, "fields_invalid");
    }
    rows.extend(TRANSFER.map(|(field, _)| (field, None, "fields_invalid")));
    rows
}

#[tokio::test]
async fn a_transfer_with_a_wrong_field_is_refused_by_name() {
    let api = TestApi::new().await;
    for (field, value, code) in wrong_transfers() {
        let text = object(&TRANSFER, field, value.as_deref());
        refused(&api, TRANSFERS, &text, code, &[field]).await;
    }
}

#[tokio::test]
async fn a_batch_with_a_wrong_field_is_refused_whole_and_names_the_item() {
    let api = TestApi::new().await;
    let good: Vec<(&str, &str)> = TRANSFER
        .into_iter()
        .chain([("idempotency_key", "\"good\"")])
        .collect();
    let first = object(&good, "", None);
    let keys = ["5", "null", "\"\"", "\"a\\tb\""].map(|value| Some(value.to_owned()));
    let wrong_keys = keys.into_iter().chain([None, Some(text_of(256))]);
    let rows = wrong_transfers()
        .into_iter()
        .chain(wrong_keys.map(|value| ("idempotency_key", value, "fields_invalid")));
    for (field, value, code) in rows {
        let text = format!(
            r#"{{"transfers": [{first}, {}]}}"#,
            object(&good, field, value.as_deref())
        );
        refused(
            &api,
            BATCH,
            &text,
            code,
            &[&format!("transfers[1].{field}")],
        )
        .await;
    }
}

#[tokio::test]
async fn a_batch_itself_is_checked() {
    let api = TestApi::new().await;
    let item = object(&TRANSFER, "idempotency_key", Some("\"k\""));
    let many = vec![item.as_str(); REQUEST_COMMANDS_MAX + 1].join(",");
    let rows = [
        ("{}".to_owned(), "transfers"),
        (r#"{"transfers": []}"#.to_owned(), "transfers"),
        (r#"{"transfers": {}}"#.to_owned(), "transfers"),
        (r#"{"transfers": null}"#.to_owned(), "transfers"),
        (format!(r#"{{"transfers": [{many}]}}"#), "transfers"),
        (
            format!(r#"{{"transfers": [{item}], "atomic": "yes"}}"#),
            "atomic",
        ),
        (
            format!(r#"{{"transfers": [{item}], "atomic": 1}}"#),
            "atomic",
        ),
        (
            format!(r#"{{"transfers": [{item}], "atomik": true}}"#),
            "atomik",
        ),
        (format!(r#"{{"transfers": [{item}, 5]}}"#), "transfers[1]"),
        (
            format!(r#"{{"transfers": [null, {item}]}}"#),
            "transfers[0]",
        ),
    ];
    for (text, field) in rows {
        refused(&api, BATCH, &text, "fields_invalid", &[field]).await;
    }
}

const LEG: [(&str, &str); 3] = [
    ("wallet", "\"shop\""),
    ("currency", "\"NGN\""),
    ("amount", "5"),
];

#[tokio::test]
async fn a_transaction_with_a_wrong_leg_is_refused_by_its_place() {
    let api = TestApi::new().await;
    let mut rows: Vec<(&str, Option<&str>, &str)> =
        LEG.map(|(field, _)| (field, None, "fields_invalid")).into();
    for value in NO_TEXT.iter().chain(&NO_WALLET) {
        rows.push(("wallet", Some(value), "fields_invalid"));
    }
    rows.extend(
        NO_TEXT
            .iter()
            .map(|value| ("currency", Some(*value), "fields_invalid")),
    );
    rows.extend(
        NO_AMOUNT
            .iter()
            .map(|value| ("amount", Some(*value), "fields_invalid")),
    );
    rows.extend(
        BEYOND_I64
            .iter()
            .map(|value| ("amount", Some(*value), "amount_too_large")),
    );
    rows.push(("account", Some("5"), "fields_invalid"));
    let good = object(&LEG, "", None);
    for (field, value, code) in rows {
        let leg = object(&LEG, field, value);
        let text = format!(r#"{{"legs": [{good}, {good}, {good}, {leg}]}}"#);
        refused(
            &api,
            TRANSACTIONS,
            &text,
            code,
            &[&format!("legs[3].{field}")],
        )
        .await;
    }
    for (text, field) in [
        ("{}", "legs"),
        (r#"{"legs": {}}"#, "legs"),
        (r#"{"legs": "x"}"#, "legs"),
        (r#"{"legs": [5]}"#, "legs[0]"),
        (r#"{"legs": [[]]}"#, "legs[0]"),
        (r#"{"legs": [], "reference": 5}"#, "reference"),
        (r#"{"legs": [], "source": "a"}"#, "source"),
    ] {
        refused(&api, TRANSACTIONS, text, "fields_invalid", &[field]).await;
    }
}

#[tokio::test]
async fn a_wallet_with_a_wrong_field_is_refused_by_name() {
    let api = TestApi::new().await;
    let good = [("address", "\"merchant:acme\""), ("currency", "\"NGN\"")];
    let mut rows: Vec<(&str, Option<&str>, &str)> = good
        .map(|(field, _)| (field, None, "fields_invalid"))
        .into();
    let uuid = "\"018f4a7e-0000-7000-8000-000000000000\"";
    for value in NO_TEXT.iter().chain(&NO_WALLET).chain(&[uuid]) {
        rows.push(("address", Some(value), "fields_invalid"));
    }
    rows.extend(
        NO_TEXT
            .iter()
            .map(|value| ("currency", Some(*value), "fields_invalid")),
    );
    for unknown in ["\"ngn\"", "\"XXX\"", "\"\"", "\"NAIRA\""] {
        rows.push(("currency", Some(unknown), "currency_unknown"));
    }
    let no_bounds = NO_AMOUNT
        .iter()
        .filter(|value| **value != "null")
        .chain(&["1", "500"]);
    rows.extend(no_bounds.map(|value| ("min_balance", Some(*value), "fields_invalid")));
    rows.extend(
        BEYOND_I64
            .iter()
            .map(|value| ("min_balance", Some(*value), "amount_too_large")),
    );
    rows.push(("balance", Some("5"), "fields_invalid"));
    for (field, value, code) in rows {
        refused(&api, WALLETS, &object(&good, field, value), code, &[field]).await;
    }
}

#[tokio::test]
async fn a_ledger_with_a_wrong_field_is_refused_by_name() {
    let api = TestApi::new().await;
    for value in NO_TEXT
        .iter()
        .chain(&["null", "\"\"", "\"A\"", "\"a:b\"", "\"a b\""])
    {
        let text = format!(r#"{{"name": {value}}}"#);
        refused(&api, "/v1/ledgers", &text, "fields_invalid", &["name"]).await;
    }
    let long = format!(r#"{{"name": {}}}"#, text_of(65));
    refused(&api, "/v1/ledgers", &long, "fields_invalid", &["name"]).await;
    refused(&api, "/v1/ledgers", "{}", "fields_invalid", &["name"]).await;
    let unknown = r#"{"name": "a", "owner": "b"}"#;
    refused(&api, "/v1/ledgers", unknown, "fields_invalid", &["owner"]).await;
}

#[tokio::test]
async fn one_answer_names_every_wrong_field() {
    let api = TestApi::new().await;
    let text = r#"{"source": 5, "currency": null, "amount": "5", "reference": [], "x": 1, "x": 2}"#;
    let fields = [
        "x",
        "source",
        "destination",
        "currency",
        "amount",
        "reference",
        "x",
    ];
    refused(&api, TRANSFERS, text, "fields_invalid", &fields).await;
    let text = r#"{"transfers": [{}, {"amount": 99999999999999999999}]}"#;
    let answer = api.post_text(BATCH, "k", text.to_owned()).await;
    assert_eq!(
        answer.code(),
        "fields_invalid",
        "several kinds of problem have no code of their own"
    );
    assert_eq!(answer.fields().len(), 10, "{}", answer.body);
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused() {
    let api = TestApi::new().await;
    let text = object(&TRANSFER, "", None).replace('}', r#", "amount": 5000}"#);
    refused(&api, TRANSFERS, &text, "fields_invalid", &["amount"]).await;
    let text = object(&TRANSFER, "", None).replace('}', r#", "\u0061mount": 5000}"#);
    refused(&api, TRANSFERS, &text, "fields_invalid", &["amount"]).await;
}

#[tokio::test]
async fn an_object_of_very_many_fields_is_refused_without_naming_them_all() {
    let api = TestApi::new().await;
    let fields: Vec<String> = (0..200_000).map(|n| format!("\"f{n}\":1")).collect();
    let began = std::time::Instant::now();
    let answer = api
        .post_text(TRANSFERS, "k", format!("{{{}}}", fields.join(",")))
        .await;
    assert_eq!(answer.code(), "fields_invalid");
    assert!(answer.body["errors"].as_array().unwrap().len() <= 100);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    let legs = vec!["{}"; 100_000].join(",");
    let answer = api
        .post_text(TRANSACTIONS, "k", format!(r#"{{"legs": [{legs}]}}"#))
        .await;
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 100);
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("and 299999 more"),
        "{}",
        answer.body["detail"]
    );
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let api = TestApi::new().await;
    for text in ["null", "5", "\"x\"", "[]", "true"] {
        refused(&api, TRANSFERS, text, "fields_invalid", &["body"]).await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_its_line_and_column() {
    let api = TestApi::new().await;
    for (text, place) in [
        ("{\"source\": \"a\",\n  oops}", "line 2 column 3"),
        ("{\"source\": ", "line 1 column 11"),
        ("{} {}", "line 1 column 4"),
        ("{\"amount\": 05}", "line 1 column 13"),
        ("{\"amount\": NaN}", "line 1 column 12"),
        ("{'amount': 5}", "line 1 column 2"),
        ("{\"a\": 1,}", "line 1 column 9"),
    ] {
        let answer = api.post_text(TRANSFERS, "k", text.to_owned()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "json_invalid"),
            "{text}"
        );
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(place), "{text}: {detail}");
    }
    for text in ["", "  \n"] {
        let answer = api.post_text(TRANSFERS, "k", text.to_owned()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "json_invalid"),
            "{text:?}"
        );
    }
}
