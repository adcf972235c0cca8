//! `kill -9` at each step of a message's way.

use std::collections::HashSet;

use crate::world::World;

/// A daemon dies at this place among commands and poison; the next one brings all to its end.
async fn dies_at(place: &'static str, time: u32) {
    let world = World::new().await;
    let arms = format!("{place}=kill@{time}");
    let mut doomed = world
        .settings()
        .with("AEGIS_FAILPOINTS", &arms)
        .start()
        .await;
    world.publish(&world.commands("a", 12, 3)).await;
    world
        .publish(&[world.poison("key-0"), world.poison("key-1")])
        .await;
    world.publish(&world.commands("b", 12, 3)).await;
    let status = doomed.ended().await;
    assert_eq!(status.code(), None, "it was killed");

    let next = world.daemon().await;
    world.assert_posted_once(24).await;
    world.until_letters(2).await;
    world
        .until("SELECT count(*) FROM consumer_retries", 0)
        .await;
    let on_kafka = world.letters_on_kafka().await;
    let ids: HashSet<_> = on_kafka.iter().map(|one| &one.record.headers[0]).collect();
    assert_eq!(ids.len(), 2, "one that was published again has the same id");
    assert_eq!(next.stop().await, Some(0));
    assert_eq!(
        world.letters().await.len(),
        2,
        "each letter is indexed once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_its_commit_a_message_takes_effect_once() {
    dies_at("consumer.commits", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_commit_and_before_the_offset_a_message_takes_effect_once() {
    dies_at("consumer.committed", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_letters_publication_and_its_messages_end_the_letter_is_indexed_once() {
    dies_at("consumer.buried", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_letters_row_and_its_offset_the_letter_is_indexed_once() {
    dies_at("letters.indexed", 1).await;
}
