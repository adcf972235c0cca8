//! The bus while its broker is frozen, killed and cut off. Each test has a Kafka
//! of its own from `KAFKA_HOME` (the folder with `libs/`), one at a time.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod support;

use std::time::Duration;

use aegis::bus::{KafkaBus, KafkaOptions, Record};
use support::broker::Broker;
use support::{
    Topic, assert_complete_and_in_order, options, outage, publish_until_done, read_all, ready,
};
use tokio::sync::watch;
use tokio::time::sleep;

/// Shorter than the trouble below, so that claims are cut for real.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Publishes claim after claim as a relay does while `trouble` goes on, and
/// checks that a consumer that drops repeats sees everything in order.
async fn nothing_is_lost_while(trouble: impl AsyncFnOnce(&mut Broker, &mut Progress)) -> Seen {
    let mut broker = Broker::start().await;
    let bus = KafkaBus::new(in_small_batches(&broker.address)).unwrap();
    ready(&bus).await;
    let topic = Topic::new(&bus, 3, &[]).await;
    let claims = watch::Sender::new(0);
    let mut progress = Progress(claims.subscribe());
    let publishing = async {
        let (mut published, mut calls) = (Vec::<Record>::new(), 0);
        // Ends when the trouble is over and has dropped its end.
        while !claims.is_closed() {
            let claim: Vec<Record> = (0..1_000)
                .map(|at| topic.record(&format!("wallet-{}", at % 40), published.len() + at, 100))
                .collect();
            calls += publish_until_done(&bus, &claim).await;
            published.extend(claim);
            claims.send_modify(|claims| *claims += 1);
            sleep(Duration::from_millis(5)).await;
        }
        (published, calls)
    };
    let troubling = async {
        progress.go_on().await;
        trouble(&mut broker, &mut progress).await;
        drop(progress);
    };
    let ((published, calls), ()) = tokio::join!(publishing, troubling);
    let arrived = read_all(&broker.address, &topic.name).await;
    let repeats = assert_complete_and_in_order(&published, &arrived);
    Seen {
        failed_calls: calls - *claims.borrow(),
        repeats,
    }
}

/// A claim does not fit into the queue and travels in many batches, so that
/// trouble finds it in all its stages at once.
fn in_small_batches(address: &str) -> KafkaOptions {
    let mut options = KafkaOptions {
        delivery_timeout: DELIVERY_TIMEOUT,
        ..options(address)
    };
    for (name, value) in [
        ("queue.buffering.max.messages", "300"),
        ("batch.num.messages", "20"),
    ] {
        options.settings.insert(name.into(), value.into());
    }
    options
}

/// The number of claims that went through.
struct Progress(watch::Receiver<usize>);

impl Progress {
    /// Waits until publishing works, and a little more, so that the next trouble
    /// comes in the middle of a claim.
    async fn go_on(&mut self) {
        let now = *self.0.borrow_and_update();
        self.0.wait_for(|claims| *claims >= now + 3).await.unwrap();
        sleep(Duration::from_millis(fastrand::u64(0..20))).await;
    }
}

struct Seen {
    /// Calls after which some records had to be published again.
    failed_calls: usize,
    /// Records that arrived more than once.
    repeats: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_freezes_in_mid_claim_loses_nothing() {
    let seen = nothing_is_lost_while(async |broker, progress| {
        for freeze_ms in [500, 5_000, 1_000, 3_500] {
            broker.freeze();
            sleep(Duration::from_millis(freeze_ms)).await;
            broker.thaw();
            progress.go_on().await;
        }
    });
    let seen = seen.await;
    assert!(seen.failed_calls > 0, "longer than the claims waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_in_mid_claim_loses_nothing() {
    let seen = nothing_is_lost_while(async |broker, progress| {
        broker.kill();
        sleep(Duration::from_secs(3)).await;
        broker.revive().await;
        progress.go_on().await;
    });
    let seen = seen.await;
    assert!(seen.failed_calls > 0, "longer than the claims waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_make_repeats_and_keep_the_order() {
    let seen = nothing_is_lost_while(async |broker, progress| {
        for _ in 0..3 {
            // Longer than a claim waits: it is cut and published by another
            // producer, whose records the broker can't know for repeats.
            broker.swallow_answers();
            sleep(Duration::from_secs(3)).await;
            broker.reconnect();
            progress.go_on().await;
            // Shorter: the same producer sends again, and the broker drops it.
            broker.reconnect();
            progress.go_on().await;
        }
    });
    let seen = seen.await;
    assert!(seen.failed_calls > 0, "longer than the claims waited");
    assert!(
        seen.repeats > 0,
        "what was written before the cut came twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_made_while_the_broker_is_away_works_once_it_is_back() {
    let mut broker = Broker::start().await;
    let patient = KafkaBus::new(options(&broker.address)).unwrap();
    ready(&patient).await;
    let topic = Topic::new(&patient, 1, &[]).await;
    broker.kill();

    let bus = KafkaBus::new(KafkaOptions {
        delivery_timeout: Duration::from_secs(1),
        ..options(&broker.address)
    })
    .unwrap();
    let records = topic.claim(3, 10);
    assert!(bus.publish(&records).await.iter().all(outage));
    broker.revive().await;
    publish_until_done(&bus, &records).await;
    let arrived = read_all(&broker.address, &topic.name).await;
    assert_complete_and_in_order(&records, &arrived);
}
