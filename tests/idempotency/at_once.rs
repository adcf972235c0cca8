//! One key, many callers.

use serde_json::Value;
use tokio::task::JoinSet;

use crate::scene::{
    Answer, BATCH, Scene, TRANSFERS, at, is_in_flight, post, post_patiently, request, send,
    transfer,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn same_key_two_hundred_times_at_once_posts_once() {
    let scene = Scene::new().await;
    let daemons = [scene.daemon().await, scene.daemon().await];
    let mut callers = JoinSet::new();
    for n in 0..200 {
        let body = transfer(5).to_string();
        callers.spawn(send(request(&daemons[n % 2], TRANSFERS, "k", body)));
    }
    let answers = callers.join_all().await;
    let first: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 201 && !answer.replayed)
        .collect();
    let [first] = first[..] else {
        panic!("{} took effect", first.len());
    };
    for answer in answers.iter().filter(|answer| *answer != first) {
        match answer.status {
            201 => answer.is_repeat_of(first),
            _ => is_in_flight(answer),
        }
    }
    for daemon in &daemons {
        post(daemon, TRANSFERS, "k", &transfer(5))
            .await
            .is_repeat_of(first);
    }
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, 5)
    );
    let kept_ms: i64 = scene.redis.ask(&["PTTL", &at("k")]).await;
    assert!((86_300_000..=86_400_000).contains(&kept_ms), "{kept_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bodies_under_one_key_at_once_one_wins() {
    let scene = Scene::new().await;
    let daemons = [scene.daemon().await, scene.daemon().await];
    let bodies = [transfer(5), transfer(6)];
    let mut callers = JoinSet::new();
    for n in 0..100 {
        let body = bodies[n % 2].to_string();
        callers.spawn(send(request(&daemons[n / 2 % 2], TRANSFERS, "k", body)));
    }
    let answers = callers.join_all().await;
    let first = answers
        .iter()
        .find(|answer| answer.status == 201 && !answer.replayed)
        .expect("one takes effect");
    for answer in answers.iter().filter(|answer| *answer != first) {
        match answer.status {
            201 => answer.is_repeat_of(first),
            422 => assert_eq!(answer.code(), "idempotency_key_reused"),
            _ => is_in_flight(answer),
        }
    }
    let won: i64 = first.json()["entries"][1]["amount"].as_i64().unwrap();
    for body in &bodies {
        let answer = post(&daemons[0], TRANSFERS, "k", body).await;
        if body["amount"] == won {
            answer.is_repeat_of(first);
        } else {
            assert_eq!(
                (answer.status, &*answer.code()),
                (422, "idempotency_key_reused")
            );
        }
    }
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, won)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_twice_in_one_batch_posts_once() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let mut item = transfer(5);
    item["idempotency_key"] = json!("item");
    let body = json!({"transfers": [item, item]});
    let first = post_patiently(&daemon, BATCH, "batch", &body).await;
    let results = first.json()["results"].clone();
    let statuses: Vec<&Value> = [0, 1].iter().map(|n| &results[*n]["status"]).collect();
    assert_eq!(statuses, ["posted", "replayed"]);
    assert_eq!(results[0]["transaction_id"], results[1]["transaction_id"]);
    post(&daemon, BATCH, "batch", &body)
        .await
        .is_repeat_of(&first);
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, 5)
    );
}
