//! Kafka gone, hung, slow or deaf for a while: postings go on, events wait.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::seen::Call;
use crate::support::PATIENCE;
use crate::support::broker::Broker;
use crate::support::topic::DaemonTopic;
use crate::{lasts, long, seed};

/// How long it lasts in the long form.
const IN_FULL: Duration = Duration::from_secs(60);

/// Has something happen to Kafka under load, and be over again. The postings must not feel it.
async fn postings_go_on_while(
    trouble: impl AsyncFnOnce(&mut Broker),
    waiting: i64,
    over: impl AsyncFnOnce(&mut Broker),
) {
    let mut broker = Broker::start().await;
    let seed = seed();
    let scene = Scene::with_topic(DaemonTopic::on(&broker.address).await).await;
    let mut settings = scene.daemon();
    if !long() {
        settings = settings.with("BREAKER_OPEN_MS", "2000");
    }
    let mut daemon = settings.start().await;
    let load = Load::start(4, seed, &[&daemon]);
    load.answers(300).await;

    let since = Instant::now();
    trouble(&mut broker).await;
    load.answers(300).await;
    waiting_reaches(&scene, waiting).await;
    while lasts(since, IN_FULL) {
        load.answers(1).await;
    }
    assert!(daemon.runs());
    let until = Instant::now();
    over(&mut broker).await;
    load.answers(100).await;

    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422)]);
    assert!(odd.is_none(), "{odd:?}");
    let before = p99(log.calls.iter().filter(|call| call.at < since));
    let during = p99(log
        .calls
        .iter()
        .filter(|call| call.at >= since && call.at < until));
    // The machine may be busy with others; a producer's timeout would be twice as long.
    let bound = before.saturating_mul(5).max(Duration::from_secs(5));
    assert!(during < bound, "{before:?} became {during:?}");

    scene.all_published().await;
    let drained = until.elapsed();
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; p99 before {before:?}, during {during:?}; drained after {drained:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_postings_go_on_and_their_events_arrive_in_order_later() {
    let killed = async |broker: &mut Broker| broker.kill();
    postings_go_on_while(killed, 200, async |broker| broker.revive().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kafka_that_hangs_holds_events_up_and_nothing_else() {
    let frozen = async |broker: &mut Broker| broker.freeze();
    postings_go_on_while(frozen, 200, async |broker| broker.thaw()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_kafka_slows_events_down_and_nothing_else() {
    let slow = async |broker: &mut Broker| broker.delay(Duration::from_millis(300));
    postings_go_on_while(slow, 1, async |broker| broker.delay(Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_kafkas_answers_are_lost_every_event_is_there_all_the_same() {
    let deaf = async |broker: &mut Broker| broker.swallow_answers();
    postings_go_on_while(deaf, 200, async |broker| broker.reconnect()).await;
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
