//! Trouble that says nothing about the message.

use std::sync::Arc;
use std::time::Duration;

use aegis::bus::{Bus, Handled, Handler as _};
use aegis::consumer::{self, Options, Retried};
use sqlx::Connection as _;

use crate::scene::{START, Scene, TOPIC, arrived, at, command, options, record};

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
async fn a_claim_that_takes_long_is_settled_in_between() {
    let scene = Scene::new().await;
    let pool = scene.database.settings().posting_pool(1);
    let options = Options {
        patience: Duration::from_secs(4),
        ..options()
    };
    let letters = Arc::new(Bus::Local(scene.bus.clone()));
    let (taking, _) = consumer::new(pool, letters, options);
    let claim =
        ["a", "b", "c"].map(|key| arrived(record(TOPIC, key, &command(key, "world", "shop", 1))));
    let mut other = scene.pool().acquire().await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM wallets WHERE address = 'shop' FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    // The first takes longer than that, since it waits five times for the lock, a second each: a
    // member that settles nothing for minutes is expelled.
    let settled = Handled {
        done: 1,
        held: None,
    };
    assert_eq!(taking.handle(&claim).await, settled);
    transaction.rollback().await.unwrap();
    // All of it, in more than one call where the machine is slow.
    let mut left = &claim[..];
    while !left.is_empty() {
        let handled = taking.handle(left).await;
        assert_eq!(handled.held, None);
        left = &left[handled.done..];
    }
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
