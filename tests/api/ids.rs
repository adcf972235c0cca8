//! Correlation ids and trace contexts.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApi, json_request};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn transfer(api: &TestApi, key: &str, headers: &[(&str, &str)], extra: Value) -> Answer {
    let mut body =
        json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    let mut request = json_request("/v1/ledgers/main/transfers").header("idempotency-key", key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

async fn outbox(api: &TestApi) -> (String, String) {
    sqlx::query_as(
        "SELECT correlation_id, traceparent FROM transaction_outbox ORDER BY id DESC LIMIT 1",
    )
    .fetch_one(api.database.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn the_ids_of_a_request_are_answered_stored_and_handed_on() {
    let api = TestApi::new().await;
    let headers = [
        ("x-correlation-id", "order 7"),
        ("traceparent", TRACEPARENT),
    ];
    let answer = transfer(&api, "a", &headers, json!({})).await;
    assert_eq!(answer.header("x-correlation-id"), "order 7");
    assert_eq!(answer.header("traceparent"), TRACEPARENT);
    assert_eq!(answer.body["correlation_id"], "order 7");
    assert_eq!(
        outbox(&api).await,
        ("order 7".to_owned(), TRACEPARENT.to_owned())
    );
}

#[tokio::test]
async fn ids_are_made_where_there_are_none() {
    let api = TestApi::new().await;
    let answer = transfer(&api, "a", &[], json!({})).await;
    let id: Uuid = answer.header("x-correlation-id").parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(answer.header("traceparent").len(), TRACEPARENT.len());
    let stored = (
        answer.header("x-correlation-id"),
        answer.header("traceparent"),
    );
    let outbox = outbox(&api).await;
    assert_eq!((outbox.0.as_str(), outbox.1.as_str()), stored);
}

#[tokio::test]
async fn the_bodys_correlation_id_wins() {
    let api = TestApi::new().await;
    let headers = [("x-correlation-id", "of the header")];
    let body = json!({"correlation_id": "of the body é"});
    let answer = transfer(&api, "a", &headers, body.clone()).await;
    let answered = answer.headers.get("x-correlation-id").unwrap().as_bytes();
    assert_eq!(answered, "of the body é".as_bytes());
    assert_eq!(answer.body["correlation_id"], "of the body é");
    assert_eq!(outbox(&api).await.0, "of the body é");
    let mut rejected = body;
    rejected["source"] = json!("shop-without-wallet");
    let answer = transfer(&api, "b", &headers, rejected).await;
    assert_eq!(answer.body["correlation_id"], "of the body é");
}

#[tokio::test]
async fn a_malformed_correlation_id_is_refused() {
    let api = TestApi::new().await;
    let long = "x".repeat(256);
    for id in [&b""[..], b"a\tb", b"\xff", long.as_bytes()] {
        let request = Request::get("/livez")
            .header("x-correlation-id", HeaderValue::from_bytes(id).unwrap())
            .body(Body::empty());
        let answer = api.send(request.unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "correlation_id_invalid")
        );
        assert!(answer.header("x-correlation-id").parse::<Uuid>().is_ok());
    }
}

#[tokio::test]
async fn a_malformed_traceparent_is_ignored() {
    let api = TestApi::new().await;
    for malformed in [
        "",
        "nonsense",
        &TRACEPARENT.to_uppercase(),
        &TRACEPARENT.replace("00-", "ff-"),
    ] {
        let key = format!("k{malformed}");
        let answer = transfer(&api, &key, &[("traceparent", malformed)], json!({})).await;
        assert_eq!(answer.status, 201);
        assert_ne!(answer.header("traceparent"), malformed);
        assert_eq!(answer.header("traceparent").len(), TRACEPARENT.len());
    }
}

#[tokio::test]
async fn every_answer_has_its_ids() {
    let api = TestApi::new().await;
    for path in [
        "/livez",
        "/readyz",
        "/nowhere",
        "/v1/ledgers",
        "/docs",
        "/openapi.json",
    ] {
        let answer = api.get(path).await;
        assert!(
            answer.header("x-correlation-id").parse::<Uuid>().is_ok(),
            "{path}"
        );
        assert!(answer.header("traceparent").starts_with("00-"), "{path}");
    }
}
