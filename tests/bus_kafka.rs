//! The bus against a real Kafka at
//! `KAFKA_BROKERS` (`eval "$(dev/stack env)"` sets it).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says where"
)]

mod common;
mod support;

use std::time::{Duration, Instant};

use aegis::bus::{Bus, KafkaBus, KafkaOptions, PublishError, Record, TopicSpec};
use aegis::event::{Envelope, EventType, TransactionPosted};
use common::log::CapturedLog;
use support::{
    PATIENCE, Topic, assert_complete_and_in_order, brokers, options, outage, publish_until_done,
    read_all, refused,
};
use time::OffsetDateTime;
use uuid::Uuid;

fn bus() -> KafkaBus {
    KafkaBus::new(options(&brokers())).unwrap()
}

#[tokio::test]
async fn every_key_keeps_its_order_over_partitions_and_claims() {
    let bus = bus();
    let topic = Topic::new(&bus, 6, &[]).await;
    let records = topic.claim(40, 150);
    for claim in records.chunks(2_000) {
        let results = bus.publish(claim).await;
        assert!(results.iter().all(Result::is_ok));
    }
    let arrived = read_all(&brokers(), &topic.name).await;
    assert_eq!(assert_complete_and_in_order(&records, &arrived), 0);
    topic.delete().await;
}

#[tokio::test]
async fn an_event_arrives_as_it_was_sent() {
    let bus = bus();
    let topic = Topic::new(&bus, 1, &[]).await;
    let id = Uuid::now_v7();
    let now = OffsetDateTime::now_utc();
    let envelope = Envelope::new(id, EventType::TransactionPosted, "main", now)
        .with_subject(id.to_string())
        .with_correlation_id(Some("order-17".into()));
    let posted = TransactionPosted {
        transaction_id: id,
        ledger: "main".into(),
        kind: "transfer".into(),
        idempotency_key: "k".into(),
        reference: None,
        correlation_id: None,
        effective_at: now,
        recorded_at: now,
        metadata: None,
        entries: Vec::new(),
    };
    let record = Record {
        topic: topic.name.clone(),
        key: vec![0, 0xff, b'\n'],
        headers: envelope.headers(),
        payload: posted.to_json().unwrap(),
    };
    let bus = Bus::Kafka(KafkaBus::new(options(&brokers())).unwrap());
    assert_eq!(bus.publish(std::slice::from_ref(&record)).await, [Ok(())]);

    let arrived = read_all(&brokers(), &topic.name).await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].record, record);
    let read = &arrived[0].record;
    assert_eq!(Envelope::from_headers(&read.headers).unwrap(), envelope);
    assert_eq!(TransactionPosted::from_json(&read.payload).unwrap(), posted);
    topic.delete().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_and_its_neighbours_pass() {
    let bus = bus();
    let topic = Topic::new(&bus, 3, &[]).await;
    let claim = [
        topic.record("big", 0, 200),
        topic.record("big", 1, 2_000_000),
        topic.record("small", 0, 200),
        topic.record("big", 2, 200),
        topic.record("small", 1, 200),
    ];
    let results = bus.publish(&claim).await;
    assert_eq!(results[0], Ok(()));
    assert!(refused(&results[1]), "{:?}", results[1]);
    assert_eq!(results[2], Ok(()));
    assert_eq!(results[3], Err(PublishError::Held), "behind it in its key");
    assert_eq!(results[4], Ok(()));

    // Once the relay has put the large one away, the rest of its key goes on.
    assert_eq!(bus.publish(&claim[3..4]).await, [Ok(())]);
    let sent = [&claim[..1], &claim[2..]].concat();
    let arrived = read_all(&brokers(), &topic.name).await;
    assert_eq!(assert_complete_and_in_order(&sent, &arrived), 0);
    topic.delete().await;
}

#[tokio::test]
async fn what_a_broker_refuses_is_found_among_its_batch() {
    // Small batches, so that the ones behind the refused one are under way.
    let mut small = options(&brokers());
    small
        .settings
        .insert("batch.num.messages".into(), "7".into());
    let bus = KafkaBus::new(small).unwrap();
    // The topic takes less than the producer does, so the broker is who says no,
    // to the whole batch. Random bytes: compression must not save them.
    let topic = Topic::new(&bus, 1, &[("max.message.bytes", "60000")]).await;
    let mut records = topic.claim(4, 100);
    let bad = [37, 202];
    for at in bad {
        records[at].payload = std::iter::repeat_with(|| fastrand::u8(..))
            .take(70_000)
            .collect();
    }
    let results = bus.publish(&records).await;
    for (at, result) in results.iter().enumerate() {
        // Keys take turns, four of them.
        let behind = bad.iter().any(|bad| at > *bad && at % 4 == bad % 4);
        match bad.contains(&at) {
            true => assert!(refused(result), "{at}: {result:?}"),
            false if behind => assert_eq!(*result, Err(PublishError::Held), "{at}"),
            false => assert_eq!(*result, Ok(()), "{at}"),
        }
    }
    // Once the relay has put those two away, what was held goes on.
    let held = |(_, result): &(&Record, &Result<_, _>)| **result == Err(PublishError::Held);
    let held = records.iter().zip(&results).filter(held);
    let held: Vec<Record> = held.map(|(record, _)| record.clone()).collect();
    assert_eq!(publish_until_done(&bus, &held).await, 1);

    records.remove(bad[1]);
    records.remove(bad[0]);
    let arrived = read_all(&brokers(), &topic.name).await;
    assert_complete_and_in_order(&records, &arrived);
    topic.delete().await;
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_refused_and_others_pass() {
    let bus = bus();
    let topic = Topic::new(&bus, 1, &[]).await;
    let mut claim = [
        topic.record("a", 0, 10),
        topic.record("b", 0, 10),
        topic.record("c", 0, 10),
        topic.record("d", 0, 10),
        topic.record("e", 0, 10),
    ];
    claim[1].topic = format!("{}.absent", topic.name);
    claim[2].topic = "no such name".into();
    claim[3].topic = String::new();
    let results = bus.publish(&claim).await;
    assert_eq!(results[0], Ok(()));
    assert!(results[1..4].iter().all(refused), "{results:?}");
    assert_eq!(results[4], Ok(()));
    topic.delete().await;
}

#[tokio::test]
async fn brokers_that_are_away_are_an_outage_in_bounded_time() {
    // Nobody listens on port 1; this one takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for nobody in ["localhost:1", &silent] {
        let bus = KafkaBus::new(KafkaOptions {
            delivery_timeout: Duration::from_secs(2),
            ..options(nobody)
        })
        .unwrap();
        let claim: Vec<Record> = (0..2_000)
            .map(|number| Record {
                topic: "aegis.transactions".into(),
                key: format!("k{}", number % 7).into(),
                headers: Vec::new(),
                payload: b"{}".to_vec(),
            })
            .collect();
        let started = Instant::now();
        let results = bus.publish(&claim).await;
        let took = started.elapsed();
        assert!(results.iter().all(outage), "{:?}", results[0]);
        assert!(took < Duration::from_secs(20), "{nobody}: {took:?}");
        assert!(bus.ping(Duration::from_secs(1)).await.is_err());
    }
}

#[tokio::test]
async fn an_outage_is_told_once() {
    let log = CapturedLog::start();
    let bus = KafkaBus::new(KafkaOptions {
        // By then the network has said something, also where the machine is slow.
        delivery_timeout: Duration::from_secs(5),
        ..options("localhost:1")
    })
    .unwrap();
    let record = Record {
        topic: "aegis.transactions".into(),
        key: b"k".to_vec(),
        headers: Vec::new(),
        payload: b"{}".to_vec(),
    };
    for _ in 0..3 {
        let results = bus.publish(std::slice::from_ref(&record)).await;
        // The reason says what the network said.
        let Err(PublishError::Outage(reason)) = &results[0] else {
            panic!("{:?}", results[0]);
        };
        assert!(reason.contains("Connection refused"), "{reason}");
    }
    let told = log.of_target("aegis::bus");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["level"], "WARN");
}

#[tokio::test]
async fn a_full_queue_makes_the_publisher_wait() {
    let topics = bus();
    let topic = Topic::new(&topics, 3, &[]).await;
    let mut small = options(&brokers());
    small
        .settings
        .insert("queue.buffering.max.messages".into(), "50".into());
    let bus = KafkaBus::new(small).unwrap();
    let records = topic.claim(10, 100);
    let (one, two) = tokio::join!(bus.publish(&records[..500]), bus.publish(&records[500..]));
    assert!(one.iter().chain(&two).all(Result::is_ok));
    assert_eq!(read_all(&brokers(), &topic.name).await.len(), 1_000);
    topic.delete().await;
}

#[tokio::test]
async fn a_claim_that_is_given_up_leaves_nothing_behind_its_back() {
    let bus = bus();
    let topic = Topic::new(&bus, 3, &[]).await;
    let records = topic.claim(10, 200);
    for wait_us in [0, 300, 1_000, 3_000, 10_000, 20_000] {
        let wait = Duration::from_micros(wait_us);
        let _ = tokio::time::timeout(wait, bus.publish(&records)).await;
    }
    publish_until_done(&bus, &records).await;
    let arrived = read_all(&brokers(), &topic.name).await;
    assert_complete_and_in_order(&records, &arrived);
    topic.delete().await;
}

#[tokio::test]
async fn topics_are_made_once_and_the_broker_tells_of_them() {
    let bus = bus();
    let topic = Topic::new(&bus, 4, &[]).await;
    let again = TopicSpec::new(&topic.name, 9);
    bus.ensure_topics(&[again], PATIENCE).await.unwrap();
    let info = bus.ping(PATIENCE).await.unwrap();
    assert!(!info.brokers.is_empty());
    assert!(info.topics.contains(&topic.name));
    bus.flush(PATIENCE).await.unwrap();

    let name = topic.name.clone();
    topic.delete().await;
    bus.delete_topics(&[&name], PATIENCE).await.unwrap();
    let bad = TopicSpec::new("no such name", 1);
    assert!(bus.ensure_topics(&[bad], PATIENCE).await.is_err());
}
