//! Paths, methods and headers that are wrong.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use serde_json::json;

use crate::support::{Answer, TestApi, json_request};

const TRANSFERS: &str = "/v1/ledgers/main/transfers";
/// Every path that writes, with a body that it takes.
fn writes() -> [(&'static str, serde_json::Value); 5] {
    let transfer =
        json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    let mut item = transfer.clone();
    item["idempotency_key"] = json!("item");
    let legs = json!([
        {"wallet": "world", "currency": "NGN", "amount": -5},
        {"wallet": "shop", "currency": "NGN", "amount": 5},
    ]);
    [
        ("/v1/ledgers", json!({"name": "europe"})),
        (
            "/v1/ledgers/main/wallets",
            json!({"address": "a", "currency": "NGN"}),
        ),
        (TRANSFERS, transfer),
        (
            "/v1/ledgers/main/transfers/batch",
            json!({"transfers": [item]}),
        ),
        ("/v1/ledgers/main/transactions", json!({"legs": legs})),
    ]
}

fn is(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (status, code),
        "{what}: {}",
        answer.body
    );
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    assert_eq!(answer.body["status"], status, "{what}");
    assert_eq!(answer.body["type"], format!("/docs#{code}"), "{what}");
    assert!(
        answer.body["title"].is_string() && answer.body["detail"].is_string(),
        "{what}"
    );
    assert_eq!(
        answer.body["correlation_id"],
        answer.header("x-correlation-id"),
        "{what}"
    );
}

#[tokio::test]
async fn every_request_that_writes_needs_a_key() {
    let api = TestApi::new().await;
    let before = api.rows().await;
    for (path, body) in writes() {
        let request = json_request(path)
            .body(Body::from(body.to_string()))
            .unwrap();
        is(
            &api.send(request).await,
            400,
            "idempotency_key_missing",
            path,
        );
        let long = "k".repeat(256);
        let huge = "k".repeat(10 * 1024);
        for key in [
            &b""[..],
            b"a\tb",
            b"\xff\xfe",
            long.as_bytes(),
            huge.as_bytes(),
        ] {
            let request = json_request(path)
                .header("idempotency-key", HeaderValue::from_bytes(key).unwrap())
                .body(Body::from(body.to_string()))
                .unwrap();
            is(
                &api.send(request).await,
                400,
                "idempotency_key_invalid",
                path,
            );
        }
        let twice = json_request(path)
            .header("idempotency-key", "a")
            .header("idempotency-key", "b");
        let twice = twice.body(Body::from(body.to_string())).unwrap();
        is(&api.send(twice).await, 400, "idempotency_key_invalid", path);
    }
    assert_eq!(api.rows().await, before);
}

#[tokio::test]
async fn keys_of_1_to_255_characters_are_taken() {
    let api = TestApi::new().await;
    let body = json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    for key in [
        "k".to_owned(),
        "k".repeat(255),
        "ключ".to_owned(),
        "a b".to_owned(),
    ] {
        let answer = api.post(TRANSFERS, &key, body.clone()).await;
        assert_eq!(answer.status, 201, "{key}");
        assert_eq!(answer.body["idempotency_key"], key);
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let api = TestApi::new().await;
    let before = api.rows().await;
    for (path, body) in writes() {
        for content_type in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "json",
        ] {
            let request = Request::post(path)
                .header("idempotency-key", "k")
                .header("content-type", content_type);
            let request = request.body(Body::from(body.to_string())).unwrap();
            is(
                &api.send(request).await,
                415,
                "content_type_unsupported",
                content_type,
            );
        }
        let untyped = Request::post(path).header("idempotency-key", "k");
        let untyped = untyped.body(Body::from(body.to_string())).unwrap();
        is(
            &api.send(untyped).await,
            415,
            "content_type_unsupported",
            "none",
        );
        let packed = json_request(path)
            .header("idempotency-key", "k")
            .header("content-encoding", "gzip");
        let packed = packed.body(Body::from(body.to_string())).unwrap();
        is(
            &api.send(packed).await,
            415,
            "content_type_unsupported",
            "gzip",
        );
    }
    assert_eq!(api.rows().await, before);
}

#[tokio::test]
async fn json_may_name_its_charset() {
    let api = TestApi::new().await;
    let request = Request::post("/v1/ledgers")
        .header("idempotency-key", "k")
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(Body::from(r#"{"name": "europe"}"#))
        .unwrap();
    assert_eq!(api.send(request).await.status, 201);
}

#[tokio::test]
async fn a_body_that_is_no_utf8_is_refused() {
    let api = TestApi::new().await;
    let request = json_request(TRANSFERS).header("idempotency-key", "k");
    let request = request
        .body(Body::from(b"{\"source\": \"\xff\"}".to_vec()))
        .unwrap();
    let answer = api.send(request).await;
    is(&answer, 400, "json_invalid", "bad UTF-8");
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("byte at 12"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn what_is_not_there_is_a_404_with_its_own_code() {
    let api = TestApi::new().await;
    let id = "018f4a7e-0000-7000-8000-000000000000";
    for (path, code) in [
        ("/", "not_found"),
        ("/v1", "not_found"),
        ("/v1/ledgers/main/nonsense", "not_found"),
        ("/v1/ledgers/main/wallets/", "not_found"),
        ("/v2/ledgers", "not_found"),
        ("/v1/ledgers/nowhere", "ledger_not_found"),
        ("/v1/ledgers/Not%20A%20Name", "ledger_not_found"),
        ("/v1/ledgers/nowhere/wallets", "ledger_not_found"),
        ("/v1/ledgers/nowhere/wallets/shop", "ledger_not_found"),
        ("/v1/ledgers/nowhere/balances", "ledger_not_found"),
        ("/v1/ledgers/main/wallets/nobody", "wallet_not_found"),
        ("/v1/ledgers/main/wallets/No%20Wallet", "wallet_not_found"),
        ("/v1/ledgers/main/wallets/%00", "wallet_not_found"),
        (
            "/v1/ledgers/main/wallets/shop?currency=USD",
            "wallet_not_found",
        ),
        (
            "/v1/ledgers/main/wallets/nobody/entries",
            "wallet_not_found",
        ),
        (
            &format!("/v1/ledgers/main/wallets/{id}"),
            "wallet_not_found",
        ),
        (
            &format!("/v1/ledgers/main/transactions/{id}"),
            "transaction_not_found",
        ),
        (
            "/v1/ledgers/main/transactions/nonsense",
            "transaction_not_found",
        ),
        ("/v1/ledgers/main/wallets/%ff", "not_found"),
    ] {
        is(&api.get(path).await, 404, code, path);
    }
    for (path, body) in writes().into_iter().skip(1) {
        let path = path.replace("main", "nowhere");
        is(
            &api.post(&path, "k", body).await,
            404,
            "ledger_not_found",
            &path,
        );
    }
}

#[tokio::test]
async fn another_method_is_a_405_that_lists_the_right_ones() {
    let api = TestApi::new().await;
    for (method, path, allowed) in [
        ("GET", TRANSFERS, "POST"),
        ("DELETE", "/v1/ledgers/main/wallets/shop", "GET,HEAD"),
        ("PUT", "/v1/ledgers", "GET,HEAD,POST"),
        ("POST", "/livez", "GET,HEAD"),
        ("PATCH", "/v1/ledgers/main", "GET,HEAD"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let answer = api.send(request).await;
        is(&answer, 405, "method_not_allowed", path);
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}
