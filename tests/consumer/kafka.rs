//! Commands on a real Kafka, consumed by real daemons.

use std::time::{Duration, Instant};

use aegis::event::DeadLetter;

use crate::raw;
use crate::scene::{command, record};
use crate::shared::{PATIENCE, members_of};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_posted_once_also_when_it_is_published_twice() {
    let world = World::new().await;
    let commands = world.commands("a", 60, 7);
    world.publish(&commands).await;
    let daemon = world.daemon().await;
    world.publish(&commands).await;
    world.publish(&world.commands("last", 7, 7)).await;
    world.assert_posted_once(67).await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_consumed_does_not_come_again_after_a_restart() {
    let world = World::new().await;
    let daemon = world.daemon().await;
    world.publish(&world.commands("a", 20, 3)).await;
    world.until_posted(20).await;
    assert_eq!(daemon.stop().await, Some(0));
    // Were the old ones consumed again, they would be noted again.
    sqlx::query("DELETE FROM consumed_events")
        .execute(world.pool())
        .await
        .unwrap();
    let _daemon = world.daemon().await;
    world.publish(&world.commands("b", 8, 8)).await;
    world.until_posted(28).await;
    world.until("SELECT count(*) FROM consumed_events", 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stopped_has_left_its_groups_so_that_the_next_one_need_not_wait() {
    let world = World::new().await;
    for round in 1..=3 {
        let daemon = world.daemon().await;
        world
            .publish(&world.commands(&format!("r{round}"), 8, 8))
            .await;
        world.until_posted(8 * round).await;
        assert_eq!(daemon.stop().await, Some(0));
        let stopped = Instant::now();
        for group in [
            world.topic.name.clone(),
            format!("{}.dlq", world.topic.name),
        ] {
            // One that did not leave stays a member to the end of its session, 8 s at least.
            while members_of(&world.topic.brokers, &group) != 0 {
                assert!(stopped.elapsed() < Duration::from_secs(6), "{group}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_first_in_its_partition_holds_nobody_up_and_is_kept_byte_for_byte() {
    let world = World::new().await;
    let poison = world.poison("key-0");
    world.publish(std::slice::from_ref(&poison)).await;
    world.publish(&world.commands("a", 10, 1)).await;
    let _daemon = world.daemon().await;
    world.assert_posted_once(10).await;
    world.until_letters(1).await;
    let letter = world.letters().await.remove(0);
    assert_eq!(letter.topic, format!("{}.dlq", world.commands_topic()));
    assert_eq!((letter.partition, letter.offset), (0, 0));
    let on_kafka = world.letters_on_kafka().await.remove(0).record;
    assert_eq!(on_kafka.payload, letter.letter);
    let read = DeadLetter::from_json(&letter.letter).unwrap();
    assert_eq!(read.payload().unwrap(), poison.payload);
    assert_eq!(read.original_topic, poison.topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_whose_name_is_no_text_ends_no_daemon_and_shows_in_the_dead_letter() {
    let world = World::new().await;
    let headers = [(&b"\xff\xfe"[..], &b"x"[..]), (b"named", b"y")];
    raw::produce(
        &world.topic.brokers,
        &world.commands_topic(),
        b"{",
        &headers,
    );
    world.publish(&world.commands("a", 10, 4)).await;
    let daemon = world.daemon().await;
    world.assert_posted_once(10).await;
    world.until_letters(1).await;
    let read = DeadLetter::from_json(&world.letters().await.remove(0).letter).unwrap();
    let wanted = [("\u{fffd}", ""), ("named", "y")];
    let wanted = wanted.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(read.headers().unwrap(), wanted);
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_2_mb_becomes_a_dead_letter_and_others_pass() {
    let world = World::new().await;
    let mut asked = command("large", "world", "shop", 1);
    let text = format!("{{\"note\":\"{}\"}}", "x".repeat(2_000_000));
    asked.metadata = Some(serde_json::value::RawValue::from_string(text).unwrap());
    let large = record(&world.commands_topic(), "key-0", &asked);
    world.publish(std::slice::from_ref(&large)).await;
    world.publish(&world.commands("a", 10, 2)).await;
    let _daemon = world.daemon().await;
    world.assert_posted_once(10).await;
    world.until_letters(1).await;
    let read = DeadLetter::from_json(&world.letters().await.remove(0).letter).unwrap();
    assert_eq!(read.payload().unwrap(), large.payload);
    assert!(
        read.error.starts_with("unreadable: metadata"),
        "{}",
        read.error
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_letter_takes_effect_once_its_cause_is_mended() {
    let world = World::new().await;
    let _daemon = world.daemon().await;
    let topic = world.commands_topic();
    let payout = record(&topic, "shop", &command("out", "shop", "world", 70));
    world.publish(&[payout]).await;
    world.hurry(1).await;
    world.until_letters(1).await;
    world
        .until("SELECT count(*) FROM consumer_retries", 0)
        .await;

    world
        .aegisctl(&["dlq", "replay", "--all", "--yes"])
        .exits(0);
    world.hurry(1).await;
    world.until_letters(2).await;
    let letters = world.letters().await;
    assert_eq!(letters[1].previous_id, Some(letters[0].id), "it came back");
    assert_eq!(letters[1].replay_count, 1);

    let funds = record(&topic, "funds", &command("in", "world", "shop", 100));
    world.publish(&[funds]).await;
    world.until_posted(1).await;
    world
        .aegisctl(&["dlq", "replay", "--all", "--yes"])
        .exits(0);
    world.until_posted(2).await;
    assert_eq!(world.balance().await, 30);
    let again = world
        .aegisctl(&["dlq", "replay", "--all", "--yes"])
        .exits(0);
    assert!(
        again.stderr.contains("nothing") || again.stderr.contains("No "),
        "{}",
        again.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_killed_is_replaced_and_nothing_is_lost_or_doubled() {
    let world = World::new().await;
    let mut first = world.daemon().await;
    let second = world.daemon().await;
    world.publish(&world.commands("a", 300, 40)).await;
    world
        .until("SELECT least(count(*), 30) FROM transactions", 30)
        .await;
    first.kill();
    world.publish(&world.commands("b", 300, 40)).await;
    world.assert_posted_once(600).await;
    assert_eq!(second.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_lose_and_double_nothing() {
    let world = World::new().await;
    let steady = world.daemon().await;
    for round in 0..3 {
        world
            .publish(&world.commands(&format!("r{round}"), 150, 20))
            .await;
        let guest = world.daemon().await;
        world
            .publish(&world.commands(&format!("g{round}"), 50, 20))
            .await;
        assert_eq!(guest.stop().await, Some(0));
    }
    world.assert_posted_once(600).await;
    assert_eq!(steady.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_come_while_kafka_is_killed_and_back_are_posted_once() {
    let mut broker = crate::shared::broker::Broker::start().await;
    let topic = crate::shared::topic::DaemonTopic::on(&broker.address).await;
    let world = World::on(topic).await;
    let mut daemon = world.daemon().await;
    world.publish(&world.commands("before", 20, 5)).await;
    world.publish(&[world.poison("key-0")]).await;
    world.until_posted(20).await;
    broker.kill();
    daemon.logged("a consumer is held up").await;
    broker.revive().await;
    world.publish(&world.commands("after", 20, 5)).await;
    world.assert_posted_once(40).await;
    world.until_letters(1).await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_of_breakers_letters_and_messages() {
    let world = World::new().await;
    let daemon = world.daemon().await;
    world.publish(&[world.poison("poison")]).await;
    world.publish(&world.commands("a", 3, 3)).await;
    world.assert_posted_once(3).await;
    world.until_letters(1).await;
    let wanted = [
        "aegis_breaker_state{dependency=\"kafka\",state=\"closed\"} 1".to_owned(),
        "aegis_breaker_state{dependency=\"kafka\",state=\"open\"} 0".to_owned(),
        "aegis_dead_letters_waiting 1".to_owned(),
        format!(
            "aegis_dead_letters_indexed_total{{topic=\"{}.dlq\"}} 1",
            world.commands_topic()
        ),
        "aegis_consumer_messages_total{outcome=\"done\"} 3".to_owned(),
        "aegis_consumer_messages_total{outcome=\"unreadable\"} 1".to_owned(),
        "aegis_retries_rows 0".to_owned(),
    ];
    let url = format!("http://{}/metrics", daemon.address);
    let began = Instant::now();
    loop {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let missing = wanted
            .iter()
            .find(|line| !text.lines().any(|found| found == **line));
        let Some(missing) = missing else { return };
        assert!(began.elapsed() < PATIENCE, "{missing} is not in {text}");
        // The gauges are set every few seconds.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
