//! What a repeat is, and that it needs no PostgreSQL.

use aegis::postgres::migrate;
use serde_json::{Value, json};

use crate::common::ledger::{main_ledger, wallet};
use crate::scene::{
    BATCH, LEDGERS, Scene, TRANSACTIONS, TRANSFERS, WALLETS, at, post, request, send, transfer,
};
use crate::support::daemon::Settings;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;

/// A request of every kind that posts or makes something.
pub(crate) fn requests() -> [(&'static str, Value); 5] {
    let mut with_all = transfer(125_000);
    with_all["reference"] = json!("order-1001");
    with_all["correlation_id"] = json!("checkout-1");
    with_all["effective_at"] = json!("2026-11-22T10:30:00+01:00");
    with_all["metadata"] = json!({"b": [1.50, 2], "a": "é"});
    let mut item = transfer(7);
    item["idempotency_key"] = json!("item");
    let legs = json!([
        {"wallet": "fees", "currency": "NGN", "amount": 15},
        {"wallet": "shop", "currency": "NGN", "amount": 985},
        {"wallet": "world", "currency": "NGN", "amount": -1_000},
    ]);
    [
        (TRANSFERS, with_all),
        (TRANSACTIONS, json!({"legs": legs})),
        (BATCH, json!({"transfers": [item]})),
        (
            WALLETS,
            json!({"address": "merchant:acme", "currency": "KWD"}),
        ),
        (LEDGERS, json!({"name": "europe"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_without_postgresql_byte_for_byte() {
    let mut postgres = Postgres::start().await;
    let pool = postgres.migrated().await;
    let ledger = main_ledger(&pool).await;
    for (address, min_balance) in [("world", None), ("shop", Some(0)), ("fees", Some(0))] {
        wallet(&pool, &ledger, address, "NGN", min_balance).await;
    }
    pool.close().await;
    let redis = Redis::start().await;
    let settings = Settings::new(&postgres.url())
        .with("REDIS_ADDRESS", &redis.address())
        .with("REDIS_TIMEOUT_MS", "10000");
    let daemons = [settings.start().await, settings.start().await];
    let mut firsts = Vec::new();
    for (path, body) in requests() {
        let first = post(&daemons[0], path, path, &body).await;
        assert!(matches!(first.status, 200 | 201), "{path}: {first:?}");
        assert!(!first.replayed, "{path}");
        firsts.push(first);
    }
    postgres.stop_fast().await;
    for daemon in &daemons {
        for ((path, body), first) in requests().iter().zip(&firsts) {
            let again = post(daemon, path, path, body).await;
            again.is_repeat_of(first);
            if let Some(id) = body["correlation_id"].as_str() {
                assert_eq!(again.correlation_id, id, "the body's counts");
            }
        }
        let new = post(daemon, TRANSFERS, "new", &transfer(5)).await;
        assert_eq!(new.status, 503, "PostgreSQL is away");
        let other = post(daemon, TRANSFERS, TRANSFERS, &transfer(6)).await;
        assert_eq!(
            (other.status, &*other.code()),
            (422, "idempotency_key_reused")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn white_space_and_the_order_of_keys_make_no_other_request() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let body = r#"{"source":"world","destination":"shop","currency":"NGN","amount":5}"#;
    let first = send(request(&daemon, TRANSFERS, "k", body.to_owned())).await;
    let same = " {\n\"amount\" : 5,\t\"currency\": \"NGN\",\
                \"destination\":\"sh\\u006fp\", \"source\":\"world\" }\r\n";
    send(request(&daemon, TRANSFERS, "k", same.to_owned()))
        .await
        .is_repeat_of(&first);
    let other = send(request(&daemon, TRANSFERS, "k", body.replace('5', "5.0"))).await;
    assert_eq!(
        (other.status, &*other.code()),
        (422, "idempotency_key_reused")
    );
    let elsewhere = send(request(&daemon, WALLETS, "k", body.to_owned())).await;
    assert_eq!(elsewhere.code(), "idempotency_key_reused");
    assert_eq!(scene.transactions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_what_the_interface_says() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let first = post(&daemon, TRANSFERS, "k", &transfer(5)).await;
    let record = scene.record("k").await;
    assert_eq!(record["status"], "done");
    assert_eq!(record["request_hash"].as_str().unwrap().len(), 64);
    assert!(record["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(record["response"]["status"], 201);
    assert_eq!(record["response"]["body"], first.body.as_str());
    assert_eq!(record["response"]["content_type"], "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_ledger_and_each_database_has_keys_of_its_own() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    post(&daemon, LEDGERS, "ledger", &json!({"name": "europe"})).await;
    for (n, address) in ["world", "shop"].iter().enumerate() {
        let body = json!({"address": address, "currency": "NGN", "min_balance": null});
        let path = "/v1/ledgers/europe/wallets";
        let made = post(&daemon, path, &format!("w{n}"), &body).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let here = post(&daemon, TRANSFERS, "k", &transfer(5)).await;
    let there = post(&daemon, "/v1/ledgers/europe/transfers", "k", &transfer(5)).await;
    assert_eq!(
        (here.replayed, there.status, there.replayed),
        (false, 201, false)
    );
    post(&daemon, TRANSFERS, "k", &transfer(5))
        .await
        .is_repeat_of(&here);

    let other = Scene::new().await;
    let settings =
        Settings::new(other.database.url()).with("REDIS_ADDRESS", &scene.redis.address());
    let elsewhere = settings.start().await;
    let there = post(&elsewhere, TRANSFERS, "k", &transfer(5)).await;
    assert_eq!((there.status, there.replayed), (201, false), "{there:?}");
    assert_eq!(other.balance("shop").await, 5);
    let mut conn = other.database.pool().acquire().await.unwrap();
    let identity = migrate::identity(&mut conn).await.unwrap();
    assert_eq!(scene.record("k").await["scope"], format!("{identity}/main"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_on_a_dead_letter_is_answered_again() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    sqlx::query(
        "INSERT INTO dead_letters (
             topic, partition, \"offset\", letter, original_topic, ledger, error, retry_count,
             failed_at, correlation_id, indexed_at
         ) VALUES ('orders.dlq', 0, 0, '{}', 'orders', 'main', 'timeout', 6, now(), 'o', now())",
    )
    .execute(scene.database.pool())
    .await
    .unwrap();
    let body = json!({"reason": "known to be wrong"});
    let discard = "/v1/dead-letters/1/discard";
    let first = post(&daemon, discard, "d", &body).await;
    assert_eq!(first.status, 200, "{first:?}");
    post(&daemon, discard, "d", &body)
        .await
        .is_repeat_of(&first);
    let all = json!({"all": true});
    let plan = post(&daemon, "/v1/dead-letters/replays", "r", &all).await;
    assert_eq!(plan.status, 200, "{plan:?}");
    let left: i64 = scene.redis.ask(&["EXISTS", &at("r")]).await;
    assert_eq!(left, 0, "nothing was begun");
}
