//! Records that are lost: PostgreSQL gives the same answer.

use serde_json::json;

use crate::repeats::requests;
use crate::scene::{BATCH, Scene, TRANSFERS, at, post, post_patiently, request, transfer};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_postgresql_gives_the_same_answer() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    for (path, body) in requests() {
        let first = post(&daemon, path, path, &body).await;
        let () = scene.redis.ask(&["FLUSHALL"]).await;
        let again = post(&daemon, path, path, &body).await;
        if path == BATCH {
            let results = again.json()["results"].clone();
            assert_eq!(results[0]["status"], "replayed", "an item's key is known");
            assert_eq!(
                results[0]["transaction_id"],
                first.json()["results"][0]["transaction_id"]
            );
        } else {
            again.is_repeat_of(&first);
        }
        let from_redis = post(&daemon, path, path, &body).await;
        from_redis.is_repeat_of(&again);
    }
    let () = scene.redis.ask(&["FLUSHALL"]).await;
    let other = post(&daemon, TRANSFERS, TRANSFERS, &transfer(6)).await;
    assert_eq!(
        (other.status, &*other.code()),
        (422, "idempotency_key_reused")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_time_a_record_is_gone_and_postgresql_gives_the_same_answer() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let first = post(&daemon, TRANSFERS, "k", &transfer(5)).await;
    let () = scene.redis.ask(&["PEXPIRE", &at("k"), "1"]).await;
    scene.freed("k").await;
    post(&daemon, TRANSFERS, "k", &transfer(5))
        .await
        .is_repeat_of(&first);
    assert_eq!(scene.transactions().await, 1);
}

/// Also what a crash between COMMIT and the write to Redis leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_garbage_in_it_is_ignored() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let first = post(&daemon, TRANSFERS, "good", &transfer(5)).await;
    let good = scene.record("good").await;
    let mut refused = good.clone();
    refused["response"]["status"] = json!(422);
    let mut foreign = good.clone();
    foreign["scope"] = json!("elsewhere/main");
    let mut empty = good.clone();
    empty["response"] = json!(null);
    let cases = [
        String::new(),
        "\u{0}garbage".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        good.to_string().replace('}', ""),
        refused.to_string(),
        foreign.to_string(),
        empty.to_string(),
    ];
    for (n, garbage) in cases.iter().enumerate() {
        let key = format!("k{n}");
        let () = scene.redis.ask(&["SET", &at(&key), garbage]).await;
        let answer = post(&daemon, TRANSFERS, &key, &transfer(5)).await;
        assert_eq!((answer.status, answer.replayed), (201, false), "{garbage}");
        post(&daemon, TRANSFERS, &key, &transfer(5))
            .await
            .is_repeat_of(&answer);
        assert_eq!(scene.record(&key).await["status"], "done", "{garbage}");
    }
    let () = scene.redis.ask(&["SET", &at("good"), "garbage"]).await;
    post(&daemon, TRANSFERS, "good", &transfer(5))
        .await
        .is_repeat_of(&first);
    let () = scene.redis.ask(&["LPUSH", &at("list"), "x"]).await;
    for replayed in [false, true] {
        let answer = post(&daemon, TRANSFERS, "list", &transfer(5)).await;
        assert_eq!((answer.status, answer.replayed), (201, replayed));
    }
    let posted = i64::try_from(cases.len()).unwrap() + 2;
    assert_eq!(scene.transactions().await, posted);
    assert!(!daemon.has_logged("the breaker opened"), "Redis works");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_commit_and_the_record_postgresql_gives_the_same_answer() {
    let scene = Scene::new().await;
    let arms = "posting.committed=kill";
    let mut doomed = scene
        .settings()
        .with("AEGIS_FAILPOINTS", arms)
        .start()
        .await;
    let cut_off = request(&doomed, TRANSFERS, "k", transfer(5).to_string())
        .send()
        .await;
    assert!(cut_off.is_err());
    assert_eq!(doomed.ended().await.code(), None, "it was killed");
    assert_eq!(scene.transactions().await, 1, "and had committed");
    let next = scene.daemon().await;
    let answer = post_patiently(&next, TRANSFERS, "k", &transfer(5)).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (201, &json!("posted"))
    );
    post(&next, TRANSFERS, "k", &transfer(5))
        .await
        .is_repeat_of(&answer);
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, 5)
    );
}
