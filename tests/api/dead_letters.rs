//! Dead letters over HTTP: found, within their ledger, and given up.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{Answer, TestApi, json_request};

/// A letter of a message on `orders` that came from this ledger: its number.
pub async fn letter(api: &TestApi, ledger: &str) -> i64 {
    let json = json!({
        "original_topic": "orders",
        "original_message": {"order": 1},
        "error": "timeout: no answer in 30 s",
        "retry_count": 6,
        "failed_at": "2026-11-23T01:02:03Z",
        "correlation_id": "order-1",
        "original_encoding": "json",
        "original_key": "wallet-1",
        "original_headers": [["ce_source", format!("/ledgers/{ledger}")]],
    });
    insert(api, ledger, json.to_string()).await
}

pub async fn insert(api: &TestApi, ledger: &str, letter: String) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO dead_letters (
             topic, partition, \"offset\", letter, original_topic, ledger, error, retry_count,
             failed_at, correlation_id, indexed_at
         ) VALUES ('orders.dlq', 0, (SELECT count(*) FROM dead_letters), $1, 'orders', $2,
                   'timeout: no answer in 30 s', 6, '2026-11-23T01:02:03Z', 'order-1', now())
         RETURNING id",
    )
    .bind(letter.into_bytes())
    .bind(ledger)
    .fetch_one(api.database.pool())
    .await
    .unwrap()
}

/// A replay that has ended, confined to this ledger: its number.
pub async fn run(api: &TestApi, ledger: &str) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO dead_letter_replays (
             topics, last_letter_id, selection, status, total, started_by, host, started_at,
             updated_at
         ) VALUES ('{orders}', 1, json_build_object('ledger', $1::text), 'done', 1, 'x', 'y', now(),
                   now())
         RETURNING id",
    )
    .bind(ledger)
    .fetch_one(api.database.pool())
    .await
    .unwrap()
}

fn ids(answer: &Answer) -> Vec<i64> {
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn letters_are_listed_by_what_is_known_of_them() {
    let api = TestApi::new().await;
    for _ in 0..3 {
        letter(&api, "main").await;
    }
    let path = "/v1/dead-letters";
    assert_eq!(ids(&api.get(path).await), [1, 2, 3]);
    let first = api.get(&format!("{path}?limit=2")).await;
    assert_eq!(ids(&first), [1, 2]);
    let next = first.body["next"].as_str().unwrap();
    let second = api.get(&format!("{path}?limit=2&after={next}")).await;
    assert_eq!(
        (ids(&second), &second.body["next"]),
        (vec![3], &Value::Null)
    );
    for (query, found) in [
        ("topic=orders", 3),
        ("topic=orders.dlq", 3),
        ("topic=others", 0),
        ("error=TIMEOUT", 3),
        ("error=%25", 0),
        ("since=2026-11-24T00:00:00Z", 0),
        ("correlation_id=order-1", 3),
        ("correlation_id=order-2", 0),
        ("status=waiting", 3),
        ("status=replayed", 0),
        ("status=all&error=timeout", 3),
    ] {
        let answer = api.get(&format!("{path}?{query}")).await;
        assert_eq!(ids(&answer).len(), found, "{query}");
    }
    let shown = api.get(&format!("{path}/1")).await.body;
    for (name, value) in [
        ("original_topic", json!("orders")),
        ("original_message", json!({"order": 1})),
        ("retry_count", json!(6)),
        ("failed_at", json!("2026-11-23T01:02:03Z")),
        ("status", json!("waiting")),
        ("replay_count", json!(0)),
        ("original_key", json!("wallet-1")),
        ("original_headers", json!([["ce_source", "/ledgers/main"]])),
        ("unreadable", json!(null)),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(shown["lives"][0]["id"], 1);
    let stats = api.get(&format!("{path}/stats")).await.body;
    assert_eq!(
        (&stats["waiting"], &stats["groups"][0]["error_code"]),
        (&json!(3), &json!("timeout"))
    );
}

#[tokio::test]
async fn a_wrong_question_is_refused_by_name() {
    let api = TestApi::new().await;
    for prefix in ["/v1/dead-letters", "/v1/ledgers/main/dead-letters"] {
        for (query, field) in [
            ("status=lost", "status"),
            ("topic=", "topic"),
            ("error=%00", "error"),
            ("correlation_id=", "correlation_id"),
            ("since=yesterday", "since"),
            ("limit=0", "limit"),
            ("after=x", "after"),
            ("colour=red", "colour"),
        ] {
            let answer = api.get(&format!("{prefix}?{query}")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (422, "fields_invalid"),
                "{query}"
            );
            assert_eq!(answer.fields(), [field]);
        }
        for path in ["1", "x", "99999999999999999999", "-1", "%ff"] {
            let answer = api.get(&format!("{prefix}/{path}")).await;
            assert_eq!(answer.status, 404, "{path}");
            let answer = api.get(&format!("{prefix}/replays/{path}")).await;
            assert_eq!(answer.status, 404, "{path}");
        }
        assert_eq!(
            api.get(&format!("{prefix}/1")).await.code(),
            "dead_letter_not_found"
        );
        assert_eq!(
            api.get(&format!("{prefix}/replays/1")).await.code(),
            "replay_not_found"
        );
    }
    let answer = api.get("/v1/ledgers/none/dead-letters").await;
    assert_eq!(answer.code(), "ledger_not_found");
}

#[tokio::test]
async fn within_a_ledger_only_its_own_letters_are_seen() {
    let api = TestApi::new().await;
    api.post("/v1/ledgers", "k", json!({"name": "eu"})).await;
    let (main, eu) = (letter(&api, "main").await, letter(&api, "eu").await);
    let within = "/v1/ledgers/eu/dead-letters";
    assert_eq!(ids(&api.get(within).await), [eu]);
    assert_eq!(ids(&api.get("/v1/dead-letters").await), [main, eu]);
    assert_eq!(api.get(&format!("{within}/stats")).await.body["waiting"], 1);
    assert_eq!(api.get(&format!("{within}/{eu}")).await.status, 200);
    assert_eq!(api.get(&format!("{within}/{main}")).await.status, 404);
    let discard = format!("{within}/{main}/discard");
    let answer = api.post(&discard, "d", json!({"reason": "x"})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (404, "dead_letter_not_found")
    );
    let replay = format!("{within}/replays");
    let plan = api
        .post(&replay, "p", json!({"all": true, "dry_run": true}))
        .await
        .body;
    assert_eq!(
        (&plan["plan"]["total"], &plan["plan"]["last_letter_id"]),
        (&json!(1), &json!(eu))
    );
    let answer = api.post(&replay, "q", json!({"ids": [main]})).await;
    assert_eq!(answer.code(), "dead_letter_not_found");
    let (of_main, of_eu) = (run(&api, "main").await, run(&api, "eu").await);
    assert_eq!(ids(&api.get(&replay).await), [of_eu]);
    assert_eq!(api.get(&format!("{replay}/{of_main}")).await.status, 404);
    let cancel = format!("{replay}/{of_main}/cancel");
    assert_eq!(api.post(&cancel, "c", json!({})).await.status, 404);
}

#[tokio::test]
async fn a_letter_is_given_up_once_with_its_reason() {
    let api = TestApi::new().await;
    let id = letter(&api, "main").await;
    let path = format!("/v1/dead-letters/{id}/discard");
    for reason in [json!(""), json!("  "), json!("a\nb"), json!(null), json!(7)] {
        let answer = api.post(&path, "k", json!({"reason": reason})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.fields()),
            (422, vec!["reason"]),
            "{reason}"
        );
    }
    let bare = json_request(&path)
        .body(Body::from(r#"{"reason":"x"}"#))
        .unwrap();
    assert_eq!(api.send(bare).await.code(), "idempotency_key_missing");
    let request = Request::post(&path)
        .header("content-type", "application/json")
        .header("idempotency-key", "k")
        .header("user-agent", "ops-console/3");
    let body = json!({"reason": "paid by hand"}).to_string();
    let done = api.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(
        (done.status.as_u16(), &done.body["status"]),
        (200, &json!("discarded"))
    );
    assert_eq!(done.body["reason"], "paid by hand");
    let deed: (String, String, String) =
        sqlx::query_as("SELECT actor, target, reason FROM audit_log")
            .fetch_one(api.database.pool())
            .await
            .unwrap();
    let expected = (
        "http: ops-console/3",
        format!("dead_letter:{id}"),
        "paid by hand",
    );
    assert_eq!((&*deed.0, deed.1, &*deed.2), expected);

    let again = api
        .post(&path, "k", json!({"reason": "paid by hand"}))
        .await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (200, "true")
    );
    let other = api.post(&path, "k2", json!({"reason": "another"})).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (409, "dead_letter_decided")
    );
    let deeds: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log")
        .fetch_one(api.database.pool())
        .await
        .unwrap();
    assert_eq!(deeds, 1);
}
