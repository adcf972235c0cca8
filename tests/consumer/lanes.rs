//! The order of one key, and that others pass.

use aegis::consumer::{Lane, Retried};
use sqlx::Row;

use crate::scene::{Scene, at, command};

/// The keys of what was posted, in order.
async fn posted(scene: &Scene) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT idempotency_key FROM transactions t JOIN ledger_entries e
             ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
         JOIN wallets w ON w.ledger_id = e.ledger_id AND w.id = e.wallet_id
         WHERE w.address = 'world' ORDER BY e.version",
    )
    .fetch_all(scene.pool())
    .await
    .unwrap();
    rows.iter().map(|row| row.get("idempotency_key")).collect()
}

#[tokio::test]
async fn those_behind_a_failed_message_of_the_same_key_wait_and_others_pass() {
    let scene = Scene::new().await;
    scene.take("a", &command("a1", "shop", "world", 70)).await;
    scene.take("a", &command("a2", "world", "shop", 100)).await;
    scene.take("a", &command("a3", "world", "shop", 1)).await;
    scene.take("b", &command("b1", "world", "shop", 50)).await;
    assert_eq!(posted(&scene).await, ["b1"]);
    assert_eq!(
        scene.retry_at(at(0)).await,
        [],
        "those behind wait for the first"
    );
    scene.take("b", &command("b2", "world", "shop", 50)).await;
    let done = [Retried::Done, Retried::Done, Retried::Done];
    assert_eq!(scene.retry_at(at(1)).await, done);
    assert_eq!(posted(&scene).await, ["b1", "b2", "a1", "a2", "a3"]);
}

#[tokio::test]
async fn those_behind_a_message_go_on_once_it_is_buried() {
    let scene = Scene::new().await;
    scene.take("a", &command("a1", "shop", "world", 70)).await;
    scene.take("a", &command("a2", "world", "shop", 100)).await;
    for due in [1, 3, 7, 15] {
        assert_eq!(scene.retry_at(at(due)).await, [Retried::Postponed]);
    }
    assert_eq!(
        scene.retry_at(at(31)).await,
        [Retried::Buried, Retried::Done]
    );
    assert_eq!(posted(&scene).await, ["a2"]);
}

#[tokio::test]
async fn messages_without_a_key_wait_for_nobody() {
    let scene = Scene::new().await;
    scene.take("", &command("a1", "shop", "world", 70)).await;
    scene.take("", &command("a2", "world", "shop", 100)).await;
    assert_eq!(posted(&scene).await, ["a2"]);
}

#[tokio::test]
async fn several_at_work_try_each_message_once_and_keep_the_order_of_a_key() {
    let scene = Scene::new().await;
    for key in ["a", "b", "c"] {
        scene
            .take(
                key,
                &command(&format!("{key}-first"), "shop", "world", 1_000),
            )
            .await;
        for n in 0..10 {
            let asked = command(&format!("{key}-{n}"), "world", "shop", 1);
            scene.take(key, &asked).await;
        }
    }
    scene
        .take("funds", &command("funds", "world", "shop", 3_000))
        .await;
    let worker = || async {
        let mut conn = scene.pool().acquire().await.unwrap();
        let (mut lane, mut done) = (Lane::default(), 0);
        loop {
            let retried = scene
                .retrying
                .retry_once(&mut conn, &mut lane, at(1))
                .await
                .unwrap();
            match retried {
                Retried::Done => done += 1,
                Retried::Idle(_) if scene.waiting().await == 0 => return done,
                Retried::Idle(_) => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    };
    let (one, two, three) = tokio::join!(worker(), worker(), worker());
    assert_eq!(one + two + three, 33);
    assert_eq!(scene.balance().await, 30);
    let posted = posted(&scene).await;
    for key in ["a", "b", "c"] {
        let of_key: Vec<&String> = posted.iter().filter(|k| k.starts_with(key)).collect();
        let mut wanted = vec![format!("{key}-first")];
        wanted.extend((0..10).map(|n| format!("{key}-{n}")));
        assert_eq!(of_key, wanted.iter().collect::<Vec<_>>());
    }
}
