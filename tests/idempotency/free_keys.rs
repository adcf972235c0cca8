//! What had no effect leaves its key free.

use std::time::Instant;

use serde_json::{Value, json};

use crate::scene::{Answer, BATCH, Scene, TRANSFERS, at, post, post_patiently, transfer};
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;

async fn is_free(scene: &Scene, key: &str) {
    let found: i64 = scene.redis.ask(&["EXISTS", &at(key)]).await;
    assert_eq!(found, 0, "{key}");
}

fn spend(amount: i64) -> Value {
    json!({"source": "shop", "destination": "fees", "currency": "NGN", "amount": amount})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_request_burns_no_key() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let refused = post(&daemon, TRANSFERS, "k", &spend(5)).await;
    assert_eq!(
        (refused.status, &*refused.code()),
        (422, "insufficient_funds")
    );
    is_free(&scene, "k").await;
    let unknown = post(&daemon, TRANSFERS, "k", &json!({"nonsense": 1})).await;
    assert_eq!((unknown.status, &*unknown.code()), (422, "fields_invalid"));
    is_free(&scene, "k").await;
    assert_eq!(
        post(&daemon, TRANSFERS, "funds", &transfer(5)).await.status,
        201
    );
    let posted = post(&daemon, TRANSFERS, "k", &spend(5)).await;
    assert_eq!((posted.status, posted.replayed), (201, false));
    assert_eq!(scene.balance("fees").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_rejection_may_be_sent_again() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let with_key = |mut item: Value, key: &str| {
        item["idempotency_key"] = json!(key);
        item
    };
    for atomic in [true, false] {
        let names = ["a", "b"].map(|name| format!("{name}-{atomic}"));
        let body = json!({"atomic": atomic, "transfers": [
            with_key(spend(100), &names[0]), with_key(transfer(5), &names[1]),
        ]});
        let key = format!("batch-{atomic}");
        let before = scene.balance("shop").await;
        let refused = post(&daemon, BATCH, &key, &body).await;
        assert_eq!(refused.status, 200);
        assert_eq!(refused.json()["results"][0]["code"], "insufficient_funds");
        is_free(&scene, &key).await;
        let funds = format!("funds-{atomic}");
        post(&daemon, TRANSFERS, &funds, &transfer(100)).await;
        let posted = post(&daemon, BATCH, &key, &body).await;
        assert_eq!(posted.json()["results"][0]["status"], "posted");
        post(&daemon, BATCH, &key, &body)
            .await
            .is_repeat_of(&posted);
        assert_eq!(scene.balance("shop").await, before + 5);
    }
}

/// Posts until there is an answer within the daemon's time, which is short for a slow machine.
async fn post_in_time(daemon: &Daemon) -> Answer {
    let began = Instant::now();
    loop {
        let answer = post_patiently(daemon, TRANSFERS, "k", &transfer(5)).await;
        if answer.status != 504 {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "it is never in time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_out_of_time_takes_its_mark_back() {
    let scene = Scene::new().await;
    let settings = scene.settings().with("SERVER_REQUEST_TIMEOUT_MS", "300");
    let daemon = settings.start().await;
    let mut other = scene.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let answer = post(&daemon, TRANSFERS, "k", &transfer(5)).await;
    assert_eq!((answer.status, &*answer.code()), (504, "timeout"));
    scene.freed("k").await;
    other.rollback().await.unwrap();
    let again = post_in_time(&daemon).await;
    assert_eq!(again.status, 201, "{again:?}");
    post_in_time(&daemon).await.is_repeat_of(&again);
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, 5)
    );
}
