//! What a message that fails goes through.

use aegis::consumer::Retried;
use sqlx::Row;

use crate::scene::{Scene, at, command};

#[tokio::test]
async fn a_command_that_arrives_twice_takes_effect_once() {
    let scene = Scene::new().await;
    let asked = command("k", "world", "shop", 70);
    let arrived = scene.take("shop", &asked).await;
    scene.taking.take(&arrived, at(1)).await.unwrap();
    assert_eq!((scene.balance().await, scene.waiting().await), (70, 0));
}

#[tokio::test]
async fn the_same_key_in_another_message_takes_effect_once() {
    let scene = Scene::new().await;
    let asked = command("k", "world", "shop", 70);
    scene.take("shop", &asked).await;
    scene.take("shop", &asked).await;
    assert_eq!((scene.balance().await, scene.waiting().await), (70, 0));
}

#[tokio::test]
async fn what_was_posted_is_told_with_the_commands_correlation_id() {
    let scene = Scene::new().await;
    scene.take("shop", &command("k", "world", "shop", 70)).await;
    let row = sqlx::query("SELECT topic, correlation_id FROM transaction_outbox")
        .fetch_one(scene.pool())
        .await
        .unwrap();
    assert_eq!(row.get::<&str, _>("topic"), "aegis.transactions");
    assert_eq!(row.get::<&str, _>("correlation_id"), "order-k");
}

#[tokio::test]
async fn a_message_is_tried_after_1_2_4_8_16_seconds_and_buried_on_the_sixth_failure() {
    let scene = Scene::new().await;
    scene.take("shop", &command("k", "shop", "world", 70)).await;
    let mut failed_at = 0;
    for wait in [1, 2, 4, 8] {
        let due = failed_at + wait;
        let early = at(due) - std::time::Duration::from_millis(1);
        assert_eq!(scene.retry_at(early).await, [], "{wait}");
        assert_eq!(
            scene.retry_at(at(due)).await,
            [Retried::Postponed],
            "{wait}"
        );
        failed_at = due;
    }
    assert_eq!(scene.retry_at(at(failed_at + 15)).await, []);
    assert_eq!(scene.letters().await.len(), 0);
    assert_eq!(scene.retry_at(at(failed_at + 16)).await, [Retried::Buried]);
    assert_eq!(scene.waiting().await, 0);

    let letters = scene.letters().await;
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert_eq!(letter.original_topic, "aegis.settlements");
    assert_eq!(letter.retry_count, 6);
    assert_eq!(letter.failed_at, at(31));
    assert_eq!(letter.correlation_id.as_deref(), Some("order-k"));
    assert_eq!(letter.ledger.as_deref(), Some("main"));
    assert!(
        letter.error.starts_with("insufficient_funds: "),
        "{}",
        letter.error
    );
    assert_eq!(scene.balance().await, 0);
}

#[tokio::test]
async fn a_message_whose_cause_is_mended_takes_effect_at_its_next_attempt() {
    let scene = Scene::new().await;
    scene.take("a", &command("k", "shop", "world", 70)).await;
    scene
        .take("b", &command("funds", "world", "shop", 100))
        .await;
    assert_eq!(scene.retry_at(at(1)).await, [Retried::Done]);
    assert_eq!((scene.balance().await, scene.waiting().await), (30, 0));
}

#[tokio::test]
async fn a_message_that_arrives_again_while_it_waits_is_not_counted_twice() {
    let scene = Scene::new().await;
    let asked = command("k", "shop", "world", 70);
    let arrived = scene.take("", &asked).await;
    scene.taking.take(&arrived, at(0)).await.unwrap();
    assert_eq!(scene.waiting().await, 1);
    let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM consumer_retries")
        .fetch_one(scene.pool())
        .await
        .unwrap();
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn a_clock_an_hour_ahead_hurries_a_message_and_one_behind_holds_it_and_none_is_lost() {
    let scene = Scene::new().await;
    scene.take("shop", &command("k", "shop", "world", 70)).await;
    assert_eq!(
        scene
            .retry_at(at(0) - std::time::Duration::from_secs(3_600))
            .await,
        []
    );
    let ahead = at(3_600);
    assert_eq!(scene.retry_at(ahead).await, [Retried::Postponed]);
    assert_eq!(
        scene.retry_at(at(3_601)).await,
        [],
        "it waits from that time on"
    );
    scene
        .take("b", &command("funds", "world", "shop", 100))
        .await;
    assert_eq!(scene.retry_at(at(3_602)).await, [Retried::Done]);
    assert_eq!(scene.balance().await, 30);
}

#[tokio::test]
async fn what_took_effect_long_ago_is_forgotten_and_its_key_still_holds() {
    let scene = Scene::new().await;
    let asked = command("k", "world", "shop", 70);
    let arrived = scene.take("shop", &asked).await;
    assert_eq!(scene.retrying.forget(at(3_600)).await.unwrap(), 0);
    assert_eq!(scene.retrying.forget(at(3_601)).await.unwrap(), 1);
    scene.taking.take(&arrived, at(3_602)).await.unwrap();
    assert_eq!(scene.balance().await, 70);
}
