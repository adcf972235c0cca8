//! `kill -9` in the middle of the load, over and over.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::{rounds, seed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_over_and_over_loses_and_doubles_nothing() {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let scene = Scene::new().await;
    // By small claims the relay is always at one: a kill finds it there, too.
    let settings = scene.daemon().with("RELAY_CLAIM_ROWS_MAX", "8");
    let mut daemon = settings.start().await;
    let load = Load::start(8, seed, &[&daemon]);
    let mut kills = Vec::new();
    for _ in 0..rounds(8) {
        load.answers(rng.u64(1..200)).await;
        // Anywhere between two commits.
        sleep(Duration::from_micros(rng.u64(..20_000))).await;
        kills.push(Instant::now());
        daemon.kill();
        daemon = settings.start().await;
        load.aim(&[&daemon]);
    }
    load.answers(100).await;
    let log = load.finish().await;
    let odd = log.first_but(&[None, Some(200), Some(201), Some(422)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    assert!(found.transactions > 100, "{found}");
    // Else nothing was at stake.
    let met: usize = kills.iter().map(|kill| log.broken_at(*kill)).sum();
    assert!(met > 0, "no kill met a request under way");
    eprintln!("{found}; the kills met {met} requests");
}
