//! More work than can be done: what is turned away is turned away at once, what is taken is done.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::seen::Call;
use crate::support::PATIENCE;
use crate::{rounds, seed};

/// Far more than the daemon has room for.
const CLIENTS: u64 = 400;
const ROOM: u32 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_far_more_clients_than_room_no_more_are_let_in_and_the_rest_is_turned_away_at_once() {
    let seed = seed();
    let scene = Scene::new().await;
    let daemon = scene
        .daemon()
        .with("SERVER_REQUESTS_MAX", &ROOM.to_string())
        // By its own clock: the clients wait for the processor more than for the daemon.
        .with("RUST_LOG", "info")
        .start()
        .await;
    // A daemon that has only just started looks its ledger up, over its first connections.
    let ledger = format!("http://{}/v1/ledgers/main", daemon.address);
    assert_eq!(reqwest::get(ledger).await.unwrap().status(), 200);
    let began = Instant::now();
    let load = Load::start(CLIENTS, seed, &[&daemon]);
    load.answers(CLIENTS).await;
    // Asked in the middle of it all.
    for probe in ["livez", "readyz"] {
        let answer = reqwest::get(format!("http://{}/{probe}", daemon.address)).await;
        assert_eq!(answer.unwrap().status(), 200, "{probe}");
    }
    load.answers(rounds(2_000)).await;
    let log = load.finish().await;
    let lasted_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(429)]);
    assert!(odd.is_none(), "{odd:?}");
    let turned_away = |call: &&Call| call.status == Some(429);
    let (away, lines) = (log.count(429), daemon.all_logged("request"));
    let answered = Took::of(lines.iter().filter(|line| line["status"] != 429));
    let refused = Took::of(lines.iter().filter(|line| line["status"] == 429));
    // The time that all of them spent inside, over the time in which they did, is how many were
    // inside on the average (Little's law): a slow disk makes both longer.
    let inside = answered.sum_ms() / lasted_ms;
    eprintln!("{inside:.1} inside on the average, {ROOM} have room; {away} turned away");
    assert!(away > 0, "nobody was turned away");
    assert!(inside < 1.5 * f64::from(ROOM), "{inside}");
    let (usual, refusal) = (answered.share_ms(50), refused.share_ms(50));
    assert!(refusal < usual, "{refusal} ms to refuse, {usual} to post");
    let bare = log
        .calls
        .iter()
        .find(|call| turned_away(call) && !call.retry_after);
    assert!(bare.is_none(), "{bare:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_find_no_connection_are_told_in_time_and_come_back_by_themselves() {
    let scene = Scene::new().await;
    let daemon = scene
        .daemon()
        .with("DATABASE_POOL_CONNECTIONS_MAX", "2")
        .with("DATABASE_CONNECT_TIMEOUT_MS", "1000")
        .with("DATABASE_STATEMENT_TIMEOUT_MS", "3000")
        .with("SERVER_REQUEST_TIMEOUT_MS", "15000")
        .start()
        .await;
    let mut somebody = scene.connect().await;
    let mut holding = somebody.begin().await.unwrap();
    sqlx::query("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holding)
        .await
        .unwrap();
    let url = format!("http://{}/v1/ledgers/main/wallets/world", daemon.address);
    let mut readers = JoinSet::new();
    for _ in 0..rounds(40) {
        let url = url.clone();
        readers.spawn(async move {
            let asked = Instant::now();
            let answer = reqwest::get(url).await.unwrap();
            (answer, asked.elapsed())
        });
    }
    for (answer, took) in readers.join_all().await {
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        assert!(took < Duration::from_secs(14), "{took:?}");
    }
    holding.rollback().await.unwrap();
    let back = Instant::now();
    while reqwest::get(&url).await.unwrap().status() != 200 {
        assert!(back.elapsed() < PATIENCE, "it does not come back");
    }
    assert_eq!(daemon.stop().await, Some(0));
}

/// What requests took by the daemon's own log, the shortest first.
struct Took(Vec<f64>);

impl Took {
    fn of<'l>(lines: impl Iterator<Item = &'l Value>) -> Self {
        let mut took: Vec<f64> = lines
            .map(|line| line["latency_ms"].as_f64().unwrap())
            .collect();
        took.sort_unstable_by(f64::total_cmp);
        Self(took)
    }

    fn sum_ms(&self) -> f64 {
        self.0.iter().sum()
    }

    /// So many in a hundred took no longer.
    fn share_ms(&self, percent: usize) -> f64 {
        self.0[self.0.len() * percent / 100]
    }
}
