//! Requests that are under way, and marks whose owner is gone.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::scene::{Scene, TRANSFERS, at, is_in_flight, post, post_patiently, request, transfer};
use crate::support::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_under_way_the_others_are_told_to_wait() {
    let scene = Scene::new().await;
    let daemons = [scene.daemon().await, scene.daemon().await];
    let mut other = scene.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let body = transfer(5).to_string();
    let first = tokio::spawn(crate::scene::send(request(
        &daemons[0],
        TRANSFERS,
        "k",
        body,
    )));
    scene.database.wait_until_blocked().await;
    assert_eq!(scene.record("k").await["status"], "in_flight");
    for daemon in &daemons {
        is_in_flight(&post(daemon, TRANSFERS, "k", &transfer(5)).await);
        // Whether the key will be taken is not known yet.
        is_in_flight(&post(daemon, TRANSFERS, "k", &transfer(6)).await);
    }
    let prolonged = is_prolonged(&scene).await;
    other.rollback().await.unwrap();
    let mut first = first.await.unwrap();
    if first.status == 503 {
        // The machine is slow: it was given up before the wallets were free.
        first = post_patiently(&daemons[0], TRANSFERS, "k", &transfer(5)).await;
    } else {
        assert!(prolonged, "its mark ran out");
    }
    assert_eq!((first.status, first.replayed), (201, false));
    post(&daemons[1], TRANSFERS, "k", &transfer(5))
        .await
        .is_repeat_of(&first);
}

/// Waits until the mark's time has been set anew: whether it was, before the mark was gone.
async fn is_prolonged(scene: &Scene) -> bool {
    let (mut least, began) = (i64::MAX, Instant::now());
    loop {
        let left: i64 = scene.redis.ask(&["PTTL", &at("k")]).await;
        let anew = left > least.saturating_add(200);
        if anew || left <= 0 {
            return anew;
        }
        least = least.min(left);
        assert!(began.elapsed() < PATIENCE, "it runs out");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_a_killed_daemon_expires_by_itself() {
    let scene = Scene::new().await;
    let (mut first, second) = (scene.daemon().await, scene.daemon().await);
    let mut other = scene.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let body = transfer(5).to_string();
    let cut_off = tokio::spawn(request(&first, TRANSFERS, "k", body).send());
    scene.database.wait_until_blocked().await;
    assert_eq!(scene.record("k").await["status"], "in_flight");
    first.kill();
    assert!(cut_off.await.unwrap().is_err());
    other.rollback().await.unwrap();
    let answer = post_patiently(&second, TRANSFERS, "k", &transfer(5)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, 5)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disappears_leaves_no_mark() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().await;
    let mut other = scene.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let body = transfer(5).to_string();
    let gone = tokio::spawn(request(&daemon, TRANSFERS, "k", body).send());
    scene.database.wait_until_blocked().await;
    gone.abort();
    scene.freed("k").await;
    other.rollback().await.unwrap();
    let answer = post(&daemon, TRANSFERS, "k", &transfer(5)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        (scene.transactions().await, scene.balance("shop").await),
        (1, 5)
    );
}
