//! What is no command becomes a dead letter at once, and nothing of it is lost.

use aegis::bus::Record;
use aegis::consumer::Retried;
use aegis::event::{DeadLetter, digest_id};
use aegis::postgres::dead_letters::list::Letter;
use proptest::prelude::*;

use crate::common::cases::cases;
use crate::scene::{START, Scene, TOPIC, arrived, at, command, record};

async fn letter_of(scene: &Scene, record: Record) -> Letter {
    letter_at(scene, 7, record).await
}

/// What the record that lies at this offset comes to.
async fn letter_at(scene: &Scene, offset: i64, record: Record) -> Letter {
    let mut arrived = arrived(record);
    arrived.place.as_mut().unwrap().offset = offset;
    scene.taking.take(&arrived, START).await.unwrap();
    assert_eq!(scene.retry_at(at(0)).await, [Retried::Buried]);
    scene.letters().await.pop().unwrap()
}

#[tokio::test]
async fn bytes_that_are_no_event_are_buried_at_once_byte_for_byte() {
    let scene = Scene::new().await;
    let bytes = b"\x00\xff not json".to_vec();
    let record = Record {
        topic: TOPIC.into(),
        key: vec![0xfe],
        headers: vec![("x".into(), vec![0xfd, 0])],
        payload: bytes.clone(),
    };
    let letter = letter_of(&scene, record).await;
    assert_eq!((letter.retry_count, letter.event_id), (1, None));
    assert_eq!(letter.error, "unreadable: header ce_specversion is missing");
    let read = DeadLetter::from_json(&letter.letter).unwrap();
    assert!(read.original_message.get().starts_with('"'), "base64");
    assert_eq!(read.payload().unwrap(), bytes);
    assert_eq!(read.key().unwrap(), [0xfe]);
    assert_eq!(read.headers().unwrap(), [("x".to_owned(), vec![0xfd, 0])]);
}

#[tokio::test]
async fn a_type_that_nobody_knows_is_told_by_name() {
    let scene = Scene::new().await;
    let mut record = record(TOPIC, "a", &command("k", "world", "shop", 1));
    for (name, value) in &mut record.headers {
        if name == "ce_type" {
            *value = b"aegis.transfer.requseted".to_vec();
        }
    }
    let letter = letter_of(&scene, record).await;
    let told = "unknown_event_type: unknown event type \"aegis.transfer.requseted\"";
    assert_eq!(letter.error, told);
}

#[tokio::test]
async fn a_field_that_cant_be_read_is_named() {
    let scene = Scene::new().await;
    let mut asked = command("k", "world", "shop", 1);
    asked.source = "Not An Address".into();
    let letter = letter_of(&scene, record(TOPIC, "a", &asked)).await;
    assert!(
        letter.error.starts_with("unreadable: source "),
        "{}",
        letter.error
    );
}

#[tokio::test]
async fn a_letter_says_which_field_and_what_was_expected_and_quotes_nothing() {
    let scene = Scene::new().await;
    let secret = "card 4242424242424242 cvv 123";
    let mut wrong = record(TOPIC, "a", &command("k", "world", "shop", 1));
    let payload = String::from_utf8(wrong.payload).unwrap();
    let amount = format!("\"amount\":\"{secret}\"");
    wrong.payload = payload.replace("\"amount\":1", &amount).into_bytes();
    let letter = letter_of(&scene, wrong).await;
    let begin = "unreadable: the data is not what the event type promises: amount: a value of \
                 another type at line 1 column ";
    assert!(letter.error.starts_with(begin), "{}", letter.error);
    assert!(letter.error.ends_with(": expected i64"), "{}", letter.error);

    for (name, expected) in [
        ("ce_specversion", "1.0"),
        ("ce_time", "a time of RFC 3339"),
        ("ce_source", "/ledgers/<ledger>"),
        ("content-type", "application/json"),
    ] {
        let mut wrong = record(TOPIC, name, &command("k", "world", "shop", 1));
        let header = wrong.headers.iter_mut().find(|(found, _)| found == name);
        header.unwrap().1 = secret.into();
        let letter = letter_of(&scene, wrong).await;
        let told = format!("unreadable: header {name} is not {expected}");
        assert_eq!(letter.error, told);
    }
}

#[tokio::test]
async fn a_ledger_that_does_not_exist_may_come_to_exist_and_goes_through_the_schedule() {
    let scene = Scene::new().await;
    let mut record = record(TOPIC, "a", &command("k", "world", "shop", 1));
    for (name, value) in &mut record.headers {
        if name == "ce_source" {
            *value = b"/ledgers/elsewhere".to_vec();
        }
    }
    scene.taking.take(&arrived(record), START).await.unwrap();
    assert_eq!(scene.retry_at(at(1)).await, [Retried::Postponed]);
}

#[tokio::test]
async fn those_behind_what_cant_be_read_go_on_at_once() {
    let scene = Scene::new().await;
    let mut poison = record(TOPIC, "a", &command("k", "world", "shop", 1));
    poison.payload = b"{".to_vec();
    scene.taking.take(&arrived(poison), START).await.unwrap();
    scene.take("a", &command("next", "world", "shop", 5)).await;
    assert_eq!(
        scene.retry_at(at(0)).await,
        [Retried::Buried, Retried::Done]
    );
    assert_eq!(scene.balance().await, 5);
}

/// Text that nothing shortens, as an index would try to.
fn noise(length: usize) -> String {
    let digests = (0_u64..).map(|n| digest_id(&[&n.to_be_bytes()]).simple().to_string());
    digests
        .flat_map(|text| text.into_bytes())
        .take(length)
        .map(char::from)
        .collect()
}

#[tokio::test]
async fn a_correlation_id_of_any_length_stops_neither_the_consumer_nor_the_index() {
    let scene = Scene::new().await;
    let long = noise(20_000);
    let headers = vec![("correlation_id".to_owned(), long.clone().into_bytes())];
    let record = Record {
        topic: TOPIC.into(),
        key: b"a".to_vec(),
        headers,
        payload: b"{}".to_vec(),
    };
    let letter = letter_of(&scene, record).await;
    assert!(long.starts_with(&letter.correlation_id.unwrap()));
    let read = DeadLetter::from_json(&letter.letter).unwrap();
    assert_eq!(
        read.correlation_id,
        Some(long),
        "the letter itself is whole"
    );
}

#[tokio::test]
async fn a_key_of_any_length_stops_nobody_and_keeps_its_order() {
    let scene = Scene::new().await;
    let key = noise(20_000);
    scene.take(&key, &command("a1", "shop", "world", 70)).await;
    scene.take(&key, &command("a2", "world", "shop", 100)).await;
    assert_eq!((scene.waiting().await, scene.balance().await), (2, 0));
    assert_eq!(scene.retry_at(at(0)).await, []);
    for due in [1, 3, 7, 15] {
        assert_eq!(scene.retry_at(at(due)).await, [Retried::Postponed]);
    }
    assert_eq!(
        scene.retry_at(at(31)).await,
        [Retried::Buried, Retried::Done]
    );
    let letter = scene.letters().await.pop().unwrap();
    let read = DeadLetter::from_json(&letter.letter).unwrap();
    assert_eq!(read.key().unwrap(), key.into_bytes());
}

#[tokio::test]
async fn the_reason_of_a_dead_letter_quotes_no_more_than_a_person_reads() {
    let scene = Scene::new().await;
    let mut large = record(TOPIC, "a", &command("k", "world", "shop", 1));
    for (name, value) in &mut large.headers {
        if name == "ce_type" {
            *value = "é".repeat(300_000).into_bytes();
        }
    }
    let letter = letter_of(&scene, large).await;
    assert!(letter.error.starts_with("unknown_event_type: "));
    assert!(
        letter.error.chars().count() < 2_000,
        "{}",
        letter.error.len()
    );
}

#[test]
fn whatever_arrives_is_either_done_or_waits_or_is_indexed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::new());
    let header = (".{0,12}", proptest::collection::vec(any::<u8>(), 0..12));
    let named = (
        prop_oneof![
            "ce_id",
            "ce_type",
            "ce_source",
            "correlation_id",
            "content-type"
        ],
        ".{0,12}".prop_map(String::into_bytes),
    );
    let headers = proptest::collection::vec(prop_oneof![header, named], 0..6);
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let payload = prop_oneof![
        bytes(),
        "[ \t\r\n]{0,2}(7|-1e9|\"x\"|null|\\{ \\}|\\[1, 2\\])[ \t\r\n]{0,2}"
            .prop_map(String::into_bytes),
    ];
    let offsets = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases(60)));
    runner
        .run(&(headers, bytes(), payload), |(headers, key, payload)| {
            let offset = offsets.replace(offsets.get() + 1);
            runtime.block_on(async {
                let record = Record {
                    topic: TOPIC.into(),
                    key,
                    headers,
                    payload,
                };
                let letter = letter_at(&scene, offset, record.clone()).await;
                assert_eq!(scene.waiting().await, 0);
                let read = DeadLetter::from_json(&letter.letter).unwrap();
                assert_eq!(read.payload().unwrap(), record.payload);
                assert_eq!(read.headers().unwrap(), record.headers);
            });
            Ok(())
        })
        .unwrap();
}
