//! Two daemons over the same wallets, one killed.

use std::time::{Duration, Instant};

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::{rounds, seed};

const LEADS: &str = "this relay has the outbox";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_of_two_daemons_is_killed_the_other_goes_on_and_its_relay_takes_over() {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let scene = Scene::new().await;
    let settings = scene.daemon();
    let mut leader = settings.start().await;
    leader.logged(LEADS).await;
    let mut other = settings.start().await;
    let load = Load::start(8, seed, &[&leader, &other]);
    for _ in 0..rounds(3) {
        load.answers(rng.u64(50..200)).await;
        assert!(!other.has_logged(LEADS), "one relay at a time");
        let killed = Instant::now();
        leader.kill();
        // The clients find out by themselves.
        other.logged(LEADS).await;
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(30), "took over after {took:?}");
        load.answers(100).await;
        assert!(other.runs());
        leader = std::mem::replace(&mut other, settings.start().await);
        load.aim(&[&leader, &other]);
    }
    load.answers(50).await;
    let log = load.finish().await;
    // 503: the other daemon was in the way for longer than a request waits.
    let odd = log.first_but(&[None, Some(200), Some(201), Some(422), Some(503)]);
    let odd = odd.or_else(|| log.first_503_but_contended());
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(leader.stop().await, Some(0));
    assert_eq!(other.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}");
}
