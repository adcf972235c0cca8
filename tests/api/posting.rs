//! Making ledgers and wallets, and posting.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, TestApi};

const TRANSFERS: &str = "/v1/ledgers/main/transfers";
const BATCH: &str = "/v1/ledgers/main/transfers/batch";
const TRANSACTIONS: &str = "/v1/ledgers/main/transactions";
const WALLETS: &str = "/v1/ledgers/main/wallets";

fn transfer(amount: i64) -> Value {
    json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": amount})
}

fn item(key: &str, source: &str, destination: &str, amount: i64) -> Value {
    json!({
        "idempotency_key": key, "source": source, "destination": destination, "currency": "NGN",
        "amount": amount,
    })
}

fn is_rejected(answer: &Answer, code: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, code),
        "{}",
        answer.body
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_transfer_moves_money_and_answers_its_entries() {
    let api = TestApi::new().await;
    let mut body = transfer(125_000);
    body["reference"] = json!("order-1001");
    body["effective_at"] = json!("2026-11-22T10:30:00+01:00");
    body["metadata"] = json!({"b": [1, 2], "a": "é"});
    let answer = api.post(TRANSFERS, "k", body.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("idempotent-replayed"), "");
    assert_eq!(answer.body["status"], "posted");
    assert_eq!(answer.body["kind"], "transfer");
    assert_eq!(answer.body["reference"], "order-1001");
    assert_eq!(answer.body["effective_at"], "2026-11-22T09:30:00Z");
    assert_eq!(answer.body["metadata"], body["metadata"]);
    let entries = answer.body["entries"].as_array().unwrap();
    let moved: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry["address"].as_str().unwrap(),
                entry["amount"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(moved, [("world", -125_000), ("shop", 125_000)]);
    assert_eq!(api.balance("shop").await, 125_000);
    let found = api.get(answer.header("location")).await;
    assert_eq!(found.body, answer.body);
}

#[tokio::test]
async fn a_repeat_gives_the_first_answer() {
    let api = TestApi::new().await;
    let first = api.post(TRANSFERS, "k", transfer(5)).await;
    let again = api.post(TRANSFERS, "k", transfer(5)).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.body, first.body);
    assert_eq!(api.balance("shop").await, 5);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_rejected() {
    let api = TestApi::new().await;
    api.post(TRANSFERS, "k", transfer(5)).await;
    is_rejected(
        &api.post(TRANSFERS, "k", transfer(6)).await,
        "idempotency_key_reused",
    );
    let legs = json!({"legs": [
        {"wallet": "world", "currency": "NGN", "amount": -5},
        {"wallet": "shop", "currency": "NGN", "amount": 5},
    ]});
    is_rejected(
        &api.post(TRANSACTIONS, "k", legs).await,
        "idempotency_key_reused",
    );
    assert_eq!(api.balance("shop").await, 5);
}

#[tokio::test]
async fn a_rejection_does_not_burn_the_key() {
    let api = TestApi::new().await;
    let body = json!({"source": "shop", "destination": "fees", "currency": "NGN", "amount": 5});
    is_rejected(
        &api.post(TRANSFERS, "k", body.clone()).await,
        "insufficient_funds",
    );
    api.post(TRANSFERS, "funds", transfer(5)).await;
    assert_eq!(api.post(TRANSFERS, "k", body).await.status, 201);
}

#[tokio::test]
async fn one_key_from_many_callers_posts_once() {
    let api = Arc::new(TestApi::new().await);
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let api = Arc::clone(&api);
        callers.spawn(async move { api.post(TRANSFERS, "k", transfer(5)).await });
    }
    let answers = callers.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    let replayed = |answer: &&Answer| answer.header("idempotent-replayed") == "true";
    assert_eq!(answers.iter().filter(replayed).count(), 49);
    let id = &answers[0].body["transaction_id"];
    assert!(
        answers
            .iter()
            .all(|answer| answer.body["transaction_id"] == *id)
    );
    assert_eq!(api.balance("shop").await, 5);
    assert_eq!(api.rows().await[2..], [1, 2, 1]);
}

#[tokio::test]
async fn a_rules_no_is_a_422_with_its_code() {
    let api = TestApi::new().await;
    api.post(
        WALLETS,
        "usd",
        json!({"address": "dollars", "currency": "USD"}),
    )
    .await;
    let before = api.rows().await;
    let cases = [
        (json!({"amount": 0}), "amount_not_positive"),
        (json!({"amount": -5}), "amount_not_positive"),
        (json!({"amount": i64::MIN}), "amount_not_positive"),
        (json!({"destination": "world"}), "same_wallet"),
        (json!({"currency": "ngn"}), "currency_unknown"),
        (json!({"currency": ""}), "currency_unknown"),
        (json!({"source": "nobody"}), "wallet_not_found"),
        (
            json!({"source": "018f4a7e-0000-7000-8000-000000000000"}),
            "wallet_not_found",
        ),
        (json!({"destination": "dollars"}), "currency_mismatch"),
        (
            json!({"source": "shop", "destination": "fees"}),
            "insufficient_funds",
        ),
    ];
    for (change, code) in cases {
        let mut body = transfer(5);
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        is_rejected(&api.post(TRANSFERS, "k", body).await, code);
    }
    let leg =
        |wallet: &str, amount: i64| json!({"wallet": wallet, "currency": "NGN", "amount": amount});
    let many: Vec<Value> = (0..1_002)
        .map(|n| leg(&format!("w{n}"), if n % 2 == 0 { 1 } else { -1 }))
        .collect();
    for (legs, code) in [
        (json!([]), "unbalanced"),
        (json!([leg("shop", 5)]), "unbalanced"),
        (json!([leg("shop", 5), leg("world", -4)]), "unbalanced"),
        (
            json!([leg("shop", 0), leg("world", 0)]),
            "amount_not_positive",
        ),
        (
            json!([leg("shop", i64::MIN), leg("world", 1)]),
            "amount_too_large",
        ),
        (json!([leg("shop", 5), leg("shop", -5)]), "same_wallet"),
        (json!(many), "too_many_legs"),
    ] {
        is_rejected(
            &api.post(TRANSACTIONS, "k", json!({"legs": legs})).await,
            code,
        );
    }
    assert_eq!(api.rows().await, before);
}

#[tokio::test]
async fn a_transaction_moves_all_its_legs() {
    let api = TestApi::new().await;
    let body = json!({"reference": "split", "legs": [
        {"wallet": "fees", "currency": "NGN", "amount": 15},
        {"wallet": "shop", "currency": "NGN", "amount": 985},
        {"wallet": "world", "currency": "NGN", "amount": -1_000},
    ]});
    let answer = api.post(TRANSACTIONS, "k", body.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["kind"]),
        (201, &json!("journal"))
    );
    assert_eq!(answer.body["entries"].as_array().unwrap().len(), 3);
    assert_eq!(
        (api.balance("shop").await, api.balance("fees").await),
        (985, 15)
    );
    let again = api.post(TRANSACTIONS, "k", body).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(again.body, answer.body);
}

#[tokio::test]
async fn a_batch_answers_each_transfer_in_order() {
    let api = TestApi::new().await;
    api.post(TRANSFERS, "before", transfer(5)).await;
    let body = json!({"transfers": [
        item("a", "world", "shop", 100),
        item("b", "shop", "fees", 1_000_000),
        item("before", "world", "shop", 5),
        item("a", "world", "shop", 100),
        item("c", "shop", "fees", 10),
    ]});
    let answer = api.post(BATCH, "batch", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let results = answer.body["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["posted", "rejected", "replayed", "replayed", "posted"]
    );
    assert_eq!(results[1]["code"], "insufficient_funds");
    assert!(results[1]["detail"].is_string() && results[1].get("transaction_id").is_none());
    assert_eq!(results[3]["transaction_id"], results[0]["transaction_id"]);
    assert_eq!(
        (api.balance("shop").await, api.balance("fees").await),
        (95, 10)
    );
}

#[tokio::test]
async fn an_atomic_batch_is_all_or_none() {
    let api = TestApi::new().await;
    let good = [
        item("a", "world", "shop", 100),
        item("b", "shop", "fees", 10),
    ];
    let bad = item("c", "shop", "fees", 1_000_000);
    let with_bad = json!({"atomic": true, "transfers": [good[0], bad, good[1]]});
    let answer = api.post(BATCH, "batch", with_bad).await;
    let codes: Vec<_> = answer.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["code"].clone())
        .collect();
    assert_eq!(
        codes,
        ["batch_rejected", "insufficient_funds", "batch_rejected"]
    );
    assert_eq!(api.balance("shop").await, 0);
    let answer = api
        .post(BATCH, "batch-2", json!({"atomic": true, "transfers": good}))
        .await;
    let posted = answer.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .all(|r| r["status"] == "posted");
    assert!(posted, "{}", answer.body);
    assert_eq!(api.balance("shop").await, 90);
}

#[tokio::test]
async fn a_batch_of_the_largest_size_with_all_details_fits_the_default_limit() {
    let api = TestApi::new().await;
    let transfers: Vec<Value> = (0..8_192)
        .map(|n| {
            json!({
                "idempotency_key": format!("018f4a7e-0000-7000-8000-{n:012}"),
                "source": "world", "destination": "shop", "currency": "NGN", "amount": 125_000,
                "reference": format!("018f4a7e-0000-7000-9000-{n:012}"),
                "correlation_id": format!("018f4a7e-0000-7000-a000-{n:012}"),
                "effective_at": "2026-11-22T09:30:00.123456Z",
                "metadata": {"order": n, "note": "x".repeat(400)},
            })
        })
        .collect();
    let answer = api
        .post(BATCH, "batch", json!({"transfers": transfers}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["results"].as_array().unwrap().len(), 8_192);
    assert_eq!(api.balance("shop").await, 8_192 * 125_000);
}

#[tokio::test]
async fn a_wallet_is_made_once() {
    let api = TestApi::new().await;
    let body = json!({"address": "merchant:acme", "currency": "KWD"});
    let first = api.post(WALLETS, "a", body.clone()).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.body["min_balance"], 0);
    assert_eq!(first.body["address"], "merchant:acme");
    let again = api.post(WALLETS, "b", body).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(again.body, first.body);
    let in_yen = json!({"address": "merchant:acme", "currency": "JPY"});
    assert_eq!(
        api.post(WALLETS, "c", in_yen).await.status,
        201,
        "another currency, another wallet"
    );
}

#[tokio::test]
async fn a_wallet_with_another_bound_is_a_conflict() {
    let api = TestApi::new().await;
    for (n, (first, second)) in [
        (json!(0), json!(null)),
        (json!(null), json!(0)),
        (json!(-5), json!(-6)),
    ]
    .iter()
    .enumerate()
    {
        let body = |bound: &Value| json!({"address": format!("w{n}"), "currency": "NGN", "min_balance": bound});
        let made = api.post(WALLETS, "k", body(first)).await;
        assert_eq!(
            (made.status.as_u16(), &made.body["min_balance"]),
            (201, first)
        );
        let other = api.post(WALLETS, "k", body(second)).await;
        assert_eq!(
            (other.status.as_u16(), other.code()),
            (409, "wallet_exists"),
            "{}",
            other.body
        );
    }
}

#[tokio::test]
async fn a_ledger_is_made_once_and_used_at_once() {
    let api = TestApi::new().await;
    assert_eq!(
        api.get("/v1/ledgers/europe").await.code(),
        "ledger_not_found"
    );
    let made = api
        .post("/v1/ledgers", "a", json!({"name": "europe"}))
        .await;
    assert_eq!(
        (made.status.as_u16(), &made.body["name"]),
        (201, &json!("europe"))
    );
    let again = api
        .post("/v1/ledgers", "b", json!({"name": "europe"}))
        .await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(again.body, made.body);
    assert_eq!(api.get("/v1/ledgers/europe").await.body, made.body);
    let wallet = json!({"address": "shop", "currency": "EUR"});
    assert_eq!(
        api.post("/v1/ledgers/europe/wallets", "c", wallet)
            .await
            .status,
        201
    );
    assert_eq!(
        api.get("/v1/ledgers/main/wallets/shop").await.body["currency"],
        "NGN"
    );
}
