//! Trouble that says nothing about the message.

use aegis::consumer::Retried;
use sqlx::Connection as _;

use crate::scene::{START, Scene, TOPIC, arrived, at, command, record};

#[tokio::test]
async fn a_wallet_that_somebody_holds_locked_holds_no_partition_up_and_counts_nothing() {
    let scene = Scene::new().await;
    let mut other = scene.pool().acquire().await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM wallets WHERE address = 'shop' FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    scene.take("a", &command("k", "world", "shop", 70)).await;
    let (attempts, error): (i32, String) =
        sqlx::query_as("SELECT attempts, last_error FROM consumer_retries")
            .fetch_one(scene.pool())
            .await
            .unwrap();
    assert_eq!(
        (attempts, &*error),
        (0, "contended: other writers were in the way")
    );
    transaction.rollback().await.unwrap();
    assert_eq!(scene.retry_at(at(1)).await, [Retried::Done]);
    assert_eq!(scene.balance().await, 70);
}

#[tokio::test]
async fn a_database_that_is_away_is_an_error_and_leaves_the_message_on_the_bus() {
    let scene = Scene::new().await;
    let arrived = arrived(record(TOPIC, "a", &command("k", "world", "shop", 70)));
    sqlx::query("ALTER TABLE consumed_events RENAME TO elsewhere")
        .execute(scene.pool())
        .await
        .unwrap();
    assert!(scene.taking.take(&arrived, START).await.is_err());
    assert_eq!(scene.waiting().await, 0);
    sqlx::query("ALTER TABLE elsewhere RENAME TO consumed_events")
        .execute(scene.pool())
        .await
        .unwrap();
    scene.taking.take(&arrived, START).await.unwrap();
    assert_eq!(scene.balance().await, 70);
}

#[tokio::test]
async fn the_same_message_taken_by_two_at_once_takes_effect_once() {
    let scene = Scene::new().await;
    for n in 0..20 {
        let asked = command(&format!("k{n}"), "world", "shop", 1);
        let arrived = arrived(record(TOPIC, "a", &asked));
        let (one, two) = tokio::join!(
            scene.taking.take(&arrived, START),
            scene.taking.take(&arrived, START)
        );
        one.unwrap();
        two.unwrap();
    }
    assert_eq!((scene.balance().await, scene.waiting().await), (20, 0));
}
