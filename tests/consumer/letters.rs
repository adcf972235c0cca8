//! The index over the dead letters, and messages that come back.

use std::sync::Arc;

use aegis::bus::{Arrived, Place, Record};
use aegis::consumer::{self, Retried};
use aegis::dlq::Indexer;
use aegis::event::{DeadLetter, Original, digest_id, header};
use aegis::postgres::retries;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{START, Scene, TOPIC, arrived, at, command};

/// A letter's record, as it lies on its topic.
fn letter(event_id: Uuid, more: &[(&str, &str)], offset: i64) -> Arrived {
    let mut headers = vec![(header::ID.to_owned(), event_id.to_string().into_bytes())];
    let more = more.iter();
    headers.extend(more.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
    let original = Original {
        topic: "orders",
        key: b"k",
        headers: &headers,
        payload: b"{}",
    };
    let read = DeadLetter::new(original, "code: words", 6, START, None).unwrap();
    Arrived {
        record: Record {
            topic: "orders.dlq".into(),
            key: b"k".to_vec(),
            headers: read.record_headers(None),
            payload: read.to_json().unwrap(),
        },
        place: Some(Place {
            partition: 0,
            offset,
        }),
    }
}

async fn index(scene: &Scene, claim: &[Arrived]) -> usize {
    let indexer = Indexer::new(scene.pool().clone());
    indexer.index(claim, START).await.unwrap()
}

#[tokio::test]
async fn a_letter_is_indexed_once_however_often_it_is_read_or_was_published() {
    let scene = Scene::new().await;
    let id = Uuid::now_v7();
    let one = letter(id, &[], 0);
    assert_eq!(index(&scene, std::slice::from_ref(&one)).await, 1);
    assert_eq!(
        index(&scene, std::slice::from_ref(&one)).await,
        0,
        "read again"
    );
    assert_eq!(
        index(&scene, &[letter(id, &[], 1)]).await,
        0,
        "published again"
    );
    assert_eq!(index(&scene, &[letter(Uuid::now_v7(), &[], 2)]).await, 1);
    assert_eq!(scene.letters().await.len(), 2);
}

#[tokio::test]
async fn what_is_no_dead_letter_is_indexed_as_it_is() {
    let scene = Scene::new().await;
    let mut one = letter(Uuid::now_v7(), &[], 0);
    one.record.payload = b"\xff\x00 hello".to_vec();
    one.record.headers.clear();
    assert_eq!(index(&scene, &[one.clone()]).await, 1);
    let found = scene.letters().await.remove(0);
    assert_eq!(found.letter, one.record.payload);
    assert_eq!(found.original_topic, "orders");
    assert!(
        found.error.starts_with("not_a_dead_letter: "),
        "{}",
        found.error
    );
}

#[tokio::test]
async fn a_text_that_the_database_cant_hold_does_not_stop_the_index() {
    let scene = Scene::new().await;
    let mut one = letter(Uuid::now_v7(), &[(header::SOURCE, "/ledgers/a\0b")], 0);
    let json = String::from_utf8(one.record.payload).unwrap();
    one.record.payload = json.replace("code: words", "co\\u0000de").into_bytes();
    assert_eq!(index(&scene, &[one]).await, 1);
    let found = scene.letters().await.remove(0);
    assert_eq!(found.error, "co\u{fffd}de");
    assert_eq!(found.ledger.as_deref(), Some("a\u{fffd}b"));
}

#[tokio::test]
async fn letters_of_another_service_are_all_indexed_though_they_bear_their_events_id() {
    let scene = Scene::new().await;
    let event_id = Uuid::now_v7();
    let lives = [0, 1].map(|offset| {
        let mut one = letter(event_id, &[], offset);
        for (name, value) in &mut one.record.headers {
            if name == header::ID {
                *value = event_id.to_string().into_bytes();
            }
        }
        one
    });
    assert_eq!(index(&scene, &lives).await, 2);
    assert_eq!(index(&scene, &lives).await, 0, "read again");
}

#[tokio::test]
async fn a_topic_that_no_topic_can_be_called_does_not_stop_the_index() {
    let scene = Scene::new().await;
    let mut one = letter(Uuid::now_v7(), &[], 0);
    let json = String::from_utf8(one.record.payload).unwrap();
    let digests = (0_u64..400).map(|n| digest_id(&[&n.to_be_bytes()]).to_string());
    let long: String = digests.collect();
    let wrong = json.replace("\"orders\"", &format!("\"{long}\""));
    one.record.payload = wrong.clone().into_bytes();
    assert_eq!(index(&scene, &[one]).await, 1);
    let found = scene.letters().await.remove(0);
    assert!(long.starts_with(&found.original_topic));
    assert_eq!(found.letter, wrong.into_bytes());
}

#[tokio::test]
async fn letters_without_a_place_are_numbered_even_by_several_at_once() {
    let scene = Arc::new(Scene::new().await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move {
                let mut one = letter(Uuid::now_v7(), &[], 0);
                one.place = None;
                index(&scene, &[one]).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    let mut offsets: Vec<i64> = scene.letters().await.iter().map(|one| one.offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_letter_that_comes_back_is_linked_to_its_first_life() {
    let scene = Scene::new().await;
    let id = Uuid::now_v7();
    index(&scene, &[letter(id, &[], 0)]).await;
    let first = scene.letters().await.remove(0).id;
    let life = |count: &'static str, from: i64| {
        let from = from.to_string();
        let more = [
            (header::REPLAY_COUNT, count),
            (header::REPLAYED_FROM, &*from),
        ];
        letter(id, &more, count.parse().unwrap())
    };
    index(&scene, &[life("1", first)]).await;
    let second = scene
        .letters()
        .await
        .into_iter()
        .map(|one| one.id)
        .max()
        .unwrap();
    index(&scene, &[life("2", second)]).await;
    let mut all = scene.letters().await;
    all.sort_by_key(|one| one.id);
    let links: Vec<_> = all
        .iter()
        .map(|one| (one.replay_count, one.previous_id, one.first_id))
        .collect();
    let wanted = [
        (0, None, None),
        (1, Some(first), Some(first)),
        (2, Some(second), Some(first)),
    ];
    assert_eq!(links, wanted);
}

#[tokio::test]
async fn a_letter_of_another_installation_is_linked_to_nobody() {
    let scene = Scene::new().await;
    index(&scene, &[letter(Uuid::now_v7(), &[], 0)]).await;
    let first = scene.letters().await.remove(0).id.to_string();
    let more = [
        (header::REPLAY_COUNT, "1"),
        (header::REPLAYED_FROM, &*first),
    ];
    index(&scene, &[letter(Uuid::now_v7(), &more, 1)]).await;
    let newest = scene
        .letters()
        .await
        .into_iter()
        .max_by_key(|one| one.id)
        .unwrap();
    assert_eq!(newest.previous_id, None);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_bus_that_is_silent_and_the_message_stays() {
    let mut scene = Scene::new().await;
    scene.lose_the_bus().await;
    let mut silent = scene
        .bus
        .subscribe("letters", &["aegis.settlements.dlq"])
        .unwrap();
    let poison = Record {
        topic: TOPIC.into(),
        key: b"a".to_vec(),
        headers: Vec::new(),
        payload: b"{".to_vec(),
    };
    scene.taking.take(&arrived(poison), START).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = async {
        let _unanswered = silent.recv().await.unwrap();
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let stopping = async {
        tokio::select! {
            () = scene.retrying.run(stop.clone()) => {}
            () = stopped => {}
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, stopping).await.unwrap();
    assert_eq!(scene.waiting().await, 1);
}

/// The command again, as a replay of dead letter `from` publishes it.
fn replayed(first: &Arrived, from: i64) -> Arrived {
    let mut again = first.clone();
    let (count, from) = (b"1".to_vec(), from.to_string().into_bytes());
    let headers = &mut again.record.headers;
    headers.push((header::REPLAY_COUNT.to_owned(), count));
    headers.push((header::REPLAYED_FROM.to_owned(), from));
    again
}

#[tokio::test]
async fn a_replay_that_comes_while_its_message_still_waits_takes_its_place() {
    let scene = Scene::new().await;
    let first = scene.take("a", &command("k", "shop", "world", 70)).await;
    // Its letter was published, indexed and replayed, and the process died before it forgot it.
    let again = replayed(&first, 1);
    scene.taking.take(&again, at(0)).await.unwrap();
    // A repeat of the first life does not bring that back.
    scene.taking.take(&first, at(0)).await.unwrap();
    assert_eq!(scene.waiting().await, 1);
    for due in [0, 1, 3, 7, 15] {
        assert_eq!(scene.retry_at(at(due)).await, [Retried::Postponed]);
    }
    assert_eq!(scene.retry_at(at(31)).await, [Retried::Buried]);
    assert_eq!(scene.letters().await[0].replay_count, 1);
}

#[tokio::test]
async fn a_replay_that_comes_while_its_message_is_being_buried_is_not_lost() {
    let scene = Scene::new().await;
    let first = scene.take("a", &command("k", "shop", "world", 70)).await;
    // A process that is paused between the letter's acknowledgement and the message's end.
    let mut paused = scene.pool().begin().await.unwrap();
    let waiting = retries::next_due(&mut paused, consumer::NAME, at(1))
        .await
        .unwrap()
        .unwrap();
    let again = replayed(&first, 1);
    let taken = async { scene.taking.take(&again, at(1)).await };
    let resumed = async {
        scene.database.wait_until_blocked().await;
        retries::remove(&mut paused, waiting.id).await.unwrap();
        paused.commit().await.unwrap();
    };
    let (taken, ()) = tokio::join!(taken, resumed);
    taken.unwrap();
    assert_eq!(scene.waiting().await, 1, "the replay waits for its turn");
}

#[tokio::test]
async fn while_the_bus_is_away_a_letter_waits_and_nothing_is_counted() {
    let mut scene = Scene::new().await;
    scene.lose_the_bus().await;
    scene.take("a", &command("k", "shop", "world", 70)).await;
    for due in [1, 3, 7, 15] {
        assert_eq!(scene.retry_at(at(due)).await, [Retried::Postponed]);
    }
    for due in [31, 36, 41] {
        assert_eq!(scene.retry_at(at(due)).await, [Retried::BusAway]);
    }
    assert_eq!(scene.waiting().await, 1);
    scene.index_letters();
    // Funds that come now are too late: it has failed six times.
    scene
        .take("b", &command("funds", "world", "shop", 100))
        .await;
    assert_eq!(scene.retry_at(at(46)).await, [Retried::Buried]);
    assert_eq!(scene.letters().await[0].retry_count, 6);
    let newest: Vec<OffsetDateTime> = scene.letters().await.iter().map(|l| l.failed_at).collect();
    assert_eq!(newest, [at(46)]);
}
