//! The API's description of itself, and that it tells the truth.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::dead_letters::{letter, run};
use crate::support::{TestApi, json_request};

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(value, |pointer| {
        document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer} stands for nothing"))
    })
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path, method, operation))
        })
}

/// What a PSP sends is signed instead of under a key.
fn is_signed(path: &str) -> bool {
    path.starts_with("/v1/webhooks/")
}

/// What writes under a key.
fn writing(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    operations(document).filter(|(path, method, _)| *method == "post" && !is_signed(path))
}

fn references(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("$ref") {
                found.push(value.clone());
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Routes whose examples are taken in tests of their own.
const ELSEWHERE: [&str; 9] = [
    "/payouts",
    "/payments",
    "/refunds",
    "/merchants",
    "/settlements",
    "/payout-runs",
    "/webhooks",
    "/reconciliations",
    "/discrepancies",
];

#[tokio::test]
async fn every_path_is_described_with_its_errors_and_headers() {
    let api = TestApi::new().await;
    let document = api.get("/openapi.json").await.body;
    let paths: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "/livez",
        "/metrics",
        "/readyz",
        "/startupz",
        "/v1/dead-letters",
        "/v1/dead-letters/replays",
        "/v1/dead-letters/replays/{id}",
        "/v1/dead-letters/replays/{id}/cancel",
        "/v1/dead-letters/stats",
        "/v1/dead-letters/{id}",
        "/v1/dead-letters/{id}/discard",
        "/v1/ledgers",
        "/v1/ledgers/{ledger}",
        "/v1/ledgers/{ledger}/balances",
        "/v1/ledgers/{ledger}/dead-letters",
        "/v1/ledgers/{ledger}/dead-letters/replays",
        "/v1/ledgers/{ledger}/dead-letters/replays/{id}",
        "/v1/ledgers/{ledger}/dead-letters/replays/{id}/cancel",
        "/v1/ledgers/{ledger}/dead-letters/stats",
        "/v1/ledgers/{ledger}/dead-letters/{id}",
        "/v1/ledgers/{ledger}/dead-letters/{id}/discard",
        "/v1/ledgers/{ledger}/payments/{id}/refunds",
        "/v1/ledgers/{ledger}/refunds/{id}",
        "/v1/ledgers/{ledger}/refunds/{id}/resolve",
        "/v1/ledgers/{ledger}/payout-runs",
        "/v1/ledgers/{ledger}/payout-runs/{key}",
        "/v1/ledgers/{ledger}/payout-runs/{key}/approve",
        "/v1/ledgers/{ledger}/payout-runs/{key}/cancel",
        "/v1/ledgers/{ledger}/payout-runs/{key}/items",
        "/v1/ledgers/{ledger}/payout-runs/{key}/resume",
        "/v1/ledgers/{ledger}/reconciliations",
        "/v1/ledgers/{ledger}/reconciliations/clearing",
        "/v1/ledgers/{ledger}/reconciliations/{id}",
        "/v1/ledgers/{ledger}/discrepancies",
        "/v1/ledgers/{ledger}/discrepancies/{id}",
        "/v1/ledgers/{ledger}/discrepancies/{id}/propose",
        "/v1/ledgers/{ledger}/discrepancies/{id}/approve",
        "/v1/ledgers/{ledger}/payouts",
        "/v1/ledgers/{ledger}/payouts/{id}",
        "/v1/ledgers/{ledger}/payouts/{id}/requery",
        "/v1/ledgers/{ledger}/payouts/{id}/resolve",
        "/v1/ledgers/{ledger}/settlements",
        "/v1/ledgers/{ledger}/settlements/preview",
        "/v1/ledgers/{ledger}/settlements/{id}",
        "/v1/ledgers/{ledger}/payments",
        "/v1/ledgers/{ledger}/payments/{id}",
        "/v1/ledgers/{ledger}/payments/{id}/requery",
        "/v1/ledgers/{ledger}/merchants",
        "/v1/ledgers/{ledger}/merchants/{merchant}",
        "/v1/ledgers/{ledger}/merchants/{merchant}/terms",
        "/v1/ledgers/{ledger}/merchants/{merchant}/freeze",
        "/v1/ledgers/{ledger}/merchants/{merchant}/unfreeze",
        "/v1/webhooks/{psp}",
        "/v1/ledgers/{ledger}/trace/{reference}",
        "/v1/ledgers/{ledger}/transactions",
        "/v1/ledgers/{ledger}/transactions/{id}",
        "/v1/ledgers/{ledger}/transfers",
        "/v1/ledgers/{ledger}/transfers/batch",
        "/v1/ledgers/{ledger}/wallets",
        "/v1/ledgers/{ledger}/wallets/{wallet}",
        "/v1/ledgers/{ledger}/wallets/{wallet}/entries",
        "/v1/webhooks/{psp}",
    ];
    assert_eq!(paths, BTreeSet::from(expected));
    let mut found = Vec::new();
    references(&document, &mut found);
    found
        .iter()
        .for_each(|reference| drop(resolved(&document, reference).clone()));
    for (path, method, operation) in operations(&document) {
        if !path.starts_with("/v1") {
            continue;
        }
        let parameters: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| resolved(&document, parameter)["name"].as_str().unwrap())
            .collect();
        for segment in path
            .split('/')
            .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
        {
            assert!(parameters.contains(segment), "{method} {path}: {segment}");
        }
        assert!(parameters.contains("X-Correlation-Id"), "{method} {path}");
        assert_eq!(
            parameters.contains("Idempotency-Key"),
            method == "post" && !is_signed(path),
            "{method} {path}"
        );
        if is_signed(path) {
            continue;
        }
        let problem = &operation["responses"]["422"];
        assert!(
            problem["content"]["application/problem+json"].is_object(),
            "{method} {path}"
        );
        assert!(operation["summary"].is_string(), "{method} {path}");
    }
}

#[tokio::test]
async fn errors_are_described_where_they_can_happen() {
    let api = TestApi::new().await;
    let document = api.get("/openapi.json").await.body;
    let codes = |path: &str, method: &str, status: &str| {
        let operation = &document["paths"][path][method];
        let codes = operation["responses"][status]["description"].as_str();
        codes.unwrap_or_default().to_owned()
    };
    let ledger = "/v1/ledgers/{ledger}";
    let transfers = format!("{ledger}/transfers");
    assert!(codes(&transfers, "post", "422").contains("`insufficient_funds`"));
    assert!(codes(&transfers, "post", "404").contains("`ledger_not_found`"));
    assert_eq!(codes(ledger, "get", "422"), "`fields_invalid`");
    assert_eq!(codes(ledger, "get", "400"), "`correlation_id_invalid`");
    assert_eq!(
        codes(&format!("{ledger}/wallets"), "post", "409"),
        "`idempotency_key_in_flight`, `wallet_exists`"
    );
    let wallet = codes(&format!("{ledger}/wallets/{{wallet}}"), "get", "422");
    assert_eq!(
        wallet,
        "`fields_invalid`, `currency_needed`, `currency_unknown`"
    );
    let letters = "/v1/dead-letters";
    assert_eq!(
        codes(&format!("{letters}/{{id}}"), "get", "404"),
        "`dead_letter_not_found`"
    );
    assert_eq!(
        codes(&format!("{letters}/{{id}}/discard"), "post", "409"),
        "`idempotency_key_in_flight`, `dead_letter_decided`, `replay_running`"
    );
    let replays = format!("{letters}/replays");
    assert_eq!(
        codes(&replays, "post", "409"),
        "`idempotency_key_in_flight`, `replay_running`"
    );
    assert!(codes(&replays, "post", "503").contains("`bus_unavailable`"));
    let cancel = format!("{replays}/{{id}}/cancel");
    assert_eq!(codes(&cancel, "post", "404"), "`replay_not_found`");
    assert_eq!(
        codes(&cancel, "post", "422"),
        "`fields_invalid`, `idempotency_key_reused`"
    );
}

#[tokio::test]
async fn the_examples_of_the_description_are_taken() {
    let api = TestApi::new().await;
    for (address, bound) in [
        ("psp:paystack", Value::Null),
        ("merchant:acme:available", json!(0)),
        ("platform:fees", json!(0)),
    ] {
        let body = json!({"address": address, "currency": "NGN", "min_balance": bound});
        api.post("/v1/ledgers/main/wallets", "k", body).await;
    }
    letter(&api, "main").await;
    run(&api, "main").await;
    let document = api.get("/openapi.json").await.body;
    let mut order: Vec<_> = writing(&document)
        // What needs merchants, payments and a PSP is taken in the tests of those rooms.
        .filter(|(path, _, _)| !ELSEWHERE.iter().any(|e| path.contains(e)))
        .collect();
    // The batch spends what the transaction brought.
    order.sort_by_key(|(path, _, _)| path.ends_with("/batch"));
    assert_eq!(order.len(), 11);
    for (n, (path, _, operation)) in order.into_iter().enumerate() {
        let schema = resolved(
            &document,
            &operation["requestBody"]["content"]["application/json"]["schema"],
        );
        let answer = api
            .post(
                &path
                    .replace("{ledger}", "main")
                    .replace("{id}", "1")
                    .replace("{key}", "k"),
                &format!("k{n}"),
                schema["example"].clone(),
            )
            .await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        assert!(
            !answer.body.to_string().contains("rejected"),
            "{path}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn whatever_writes_wants_a_key_and_says_how_repeats_are_answered() {
    let api = TestApi::new().await;
    let document = api.get("/openapi.json").await.body;
    for (path, _, operation) in writing(&document) {
        let at = path
            .replace("{ledger}", "main")
            .replace("{id}", "1")
            .replace("{key}", "k");
        let request = json_request(&at).body(Body::from("{}")).unwrap();
        let answer = api.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "idempotency_key_missing"),
            "{path}"
        );
        let responses = &operation["responses"];
        for (status, response) in responses.as_object().unwrap() {
            let says = response["headers"]["Idempotent-Replayed"].is_object();
            assert_eq!(says, status.starts_with('2'), "{path} {status}");
        }
        for (status, code) in [("409", "in_flight"), ("422", "reused")] {
            let codes = responses[status]["description"].as_str().unwrap();
            assert!(
                codes.contains(&format!("`idempotency_key_{code}`")),
                "{path}: {codes}"
            );
        }
        assert!(
            responses["409"]["headers"]["Retry-After"].is_object(),
            "{path}"
        );
    }
}

/// Sends every described field as an object and no other: each is known, none is missing.
#[tokio::test]
async fn the_fields_that_are_described_are_the_fields_that_are_read() {
    let api = TestApi::new().await;
    let document = api.get("/openapi.json").await.body;
    // A request without fields has nothing to compare.
    for (path, _, operation) in
        writing(&document).filter(|(path, _, _)| !path.ends_with("/requery"))
    {
        let schema = resolved(
            &document,
            &operation["requestBody"]["content"]["application/json"]["schema"],
        );
        assert_eq!(schema["additionalProperties"], false, "{path}");
        let described = schema["properties"].as_object().into_iter();
        let described: BTreeSet<String> = described.flat_map(|all| all.keys().cloned()).collect();
        let path = path.replace("{ledger}", "main").replace("{id}", "1");
        let path = path.replace("{merchant}", "acme").replace("{key}", "k");
        let answer = api.post(&path, "k", json!({"nonsense": 1})).await;
        let unknown = answer.body["errors"].as_array().unwrap().last().unwrap()["problem"].clone();
        // A body without any field names none.
        let known = unknown.as_str().unwrap().split_once("the fields are ");
        let known = known.into_iter().flat_map(|(_, known)| known.split(", "));
        let known = known.filter(|name| !name.is_empty());
        let known: BTreeSet<String> = known.map(str::to_owned).collect();
        assert_eq!(described, known, "{path}");
        // One of two fields, of which neither alone is required: a PSP or a bank.
        let is_choice = |field: &str| path.ends_with("/reconciliations") && field == "psp";
        let missing: BTreeSet<&str> = answer
            .fields()
            .into_iter()
            .filter(|field| *field != "nonsense" && !is_choice(field))
            .collect();
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(missing, required, "{path}");
    }
}

#[tokio::test]
async fn the_page_to_read_needs_no_other_host() {
    let api = TestApi::new().await;
    let request = Request::get("/docs").body(Body::empty()).unwrap();
    let response = api.router.clone().oneshot(request).await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let page = String::from_utf8(bytes.to_vec()).unwrap();
    let outside = page.replace("http://localhost:8080", "");
    assert!(
        !outside.contains("http://")
            && !outside.contains("https://")
            && !outside.contains("<script")
    );
    for part in [
        "Post a transfer",
        "id=insufficient_funds",
        "id=schema-TransferRequest",
        "curl &#39;http://localhost:8080/v1/ledgers/main/transfers&#39;",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Every link inside the page leads somewhere.
    for target in page
        .split("href=#")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
    {
        assert!(page.contains(&format!("id={target}")), "{target}");
    }
}
