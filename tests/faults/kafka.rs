//! Kafka gone for a while: postings go on, events wait.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::load::{Call, Load};
use crate::scene::Scene;
use crate::seed;
use crate::support::PATIENCE;
use crate::support::broker::Broker;
use crate::support::topic::DaemonTopic;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_postings_go_on_and_their_events_arrive_in_order_later() {
    let mut broker = Broker::start().await;
    let seed = seed();
    let scene = Scene::with_topic(DaemonTopic::on(&broker.address).await).await;
    let mut daemon = scene.daemon().start().await;
    let load = Load::start(4, seed, &[&daemon]);
    load.answers(300).await;

    let gone = Instant::now();
    broker.kill();
    load.answers(300).await;
    waiting_reaches(&scene, 200).await;
    assert!(daemon.runs());
    let back = Instant::now();
    broker.revive().await;
    load.answers(100).await;

    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422)]);
    assert!(odd.is_none(), "{odd:?}");
    let before = p99(log.calls.iter().filter(|call| call.at < gone));
    let during = p99(log
        .calls
        .iter()
        .filter(|call| call.at >= gone && call.at < back));
    // The machine may be busy with others; a producer's timeout would be ten times as long.
    let bound = before.saturating_mul(5).max(Duration::from_secs(1));
    assert!(during < bound, "{before:?} became {during:?}");

    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; p99 before {before:?}, during {during:?}");
}

async fn waiting_reaches(scene: &Scene, events: i64) {
    let started = Instant::now();
    while scene.waiting().await < events {
        assert!(started.elapsed() < PATIENCE, "the outbox does not grow");
        sleep(Duration::from_millis(20)).await;
    }
}

fn p99<'c>(calls: impl Iterator<Item = &'c Call>) -> Duration {
    let mut took: Vec<Duration> = calls.map(|call| call.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}
