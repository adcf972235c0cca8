//! Without Redis requests go on, soon and in silence.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::scene::{Scene, TRANSFERS, post, transfer};
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;

const OPENED: &str = "the breaker opened";
const CLOSED: &str = "the breaker closed";
/// How long Redis is left alone.
const OPEN: Duration = Duration::from_secs(2);

/// Posts one after the other: each is answered, none is late. How long the longest took.
async fn post_some(daemon: &Daemon, name: &str, count: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for n in 0..count {
        let began = Instant::now();
        let key = format!("{name}-{n}");
        let answer = post(daemon, TRANSFERS, &key, &transfer(1)).await;
        assert_eq!((answer.status, answer.replayed), (201, false), "{answer:?}");
        longest = longest.max(began.elapsed());
    }
    longest
}

/// How often Redis's breaker has told of this change.
fn told(daemon: &Daemon, change: &str) -> usize {
    let lines = daemon.all_logged(change);
    let lines = lines.iter().filter(|line| line["dependency"] == "redis");
    lines.filter(|line| line["level"] == "WARN").count()
}

/// Takes Redis away by some means and brings it back: requests go on.
async fn goes_on(scene: &mut Scene, means: Means) {
    let settings = scene.settings();
    let settings = settings
        .with("REDIS_TIMEOUT_MS", "100")
        .with("BREAKER_OPEN_MS", &OPEN.as_millis().to_string());
    let daemon = settings.start().await;
    post_some(&daemon, "before", 3).await;

    means.takes_away(scene).await;
    let began = Instant::now();
    let longest = post_some(&daemon, "during", 40).await;
    // Two calls that each wait for the timeout, and the posting itself on a slow machine.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    // It is told again only where it was asked again in vain.
    let asked_max = 1 + began.elapsed().as_millis() / OPEN.as_millis();
    let told_now = u128::try_from(told(&daemon, OPENED)).unwrap();
    assert!((1..=asked_max).contains(&told_now), "{told_now} warnings");
    let again = post(&daemon, TRANSFERS, "during-0", &transfer(1)).await;
    assert_eq!(
        (again.status, again.replayed),
        (201, true),
        "PostgreSQL knows"
    );

    means.brings_back(scene).await;
    let began = Instant::now();
    while told(&daemon, CLOSED) == 0 {
        assert!(began.elapsed() < PATIENCE, "it is not asked again");
        post(&daemon, TRANSFERS, "probe", &transfer(1)).await;
        sleep(Duration::from_millis(20)).await;
    }
    // An answer that Redis is too slow for is not recorded; one of them is.
    let (mut after, began) = (0, Instant::now());
    loop {
        let name = format!("after-{after}");
        post_some(&daemon, &name, 1).await;
        after += 1;
        if scene.record(&format!("{name}-0")).await["status"] == "done" {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "no answer is recorded");
    }
    assert_eq!(told(&daemon, CLOSED), 1);
    assert_eq!(scene.balance("shop").await, 3 + 40 + after + 1);
}

#[derive(Clone, Copy)]
enum Means {
    Stopped,
    Stalled,
    OutOfMemory,
}

impl Means {
    async fn takes_away(self, scene: &mut Scene) {
        match self {
            Self::Stopped => scene.redis.stop().await,
            Self::Stalled => scene.redis.freeze(),
            Self::OutOfMemory => {
                let () = scene.redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
            }
        }
    }

    async fn brings_back(self, scene: &mut Scene) {
        match self {
            Self::Stopped => scene.redis.revive().await,
            Self::Stalled => scene.redis.thaw(),
            Self::OutOfMemory => {
                let () = scene.redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_away_requests_go_on() {
    goes_on(&mut Scene::new().await, Means::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_stalled_requests_go_on() {
    goes_on(&mut Scene::new().await, Means::Stalled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_out_of_memory_requests_go_on() {
    goes_on(&mut Scene::new().await, Means::OutOfMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_restarted_is_used_again_at_once() {
    let mut scene = Scene::new().await;
    let daemon = scene.daemon().await;
    post_some(&daemon, "before", 3).await;
    scene.redis.stop().await;
    scene.redis.revive().await;
    // The first finds the old connection dead.
    post_some(&daemon, "after", 3).await;
    assert_eq!(scene.record("after-0").await, Value::Null);
    assert_eq!(scene.record("after-2").await["status"], "done");
    assert_eq!(told(&daemon, OPENED), 0);
}
