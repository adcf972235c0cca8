//! Redis is flushed, hangs, runs out of memory, dies and comes back, under load on two daemons.

use std::time::{Duration, Instant};

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::support::redis::Redis;
use crate::{lasts, rounds, seed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_redis_does_every_request_is_answered_and_posted_once() {
    let seed = seed();
    let scene = Scene::new().await;
    let mut redis = Redis::start().await;
    let settings = scene
        .daemon()
        .with("REDIS_ADDRESS", &redis.address())
        .with("LOCKING", "redis")
        .with("BREAKER_OPEN_MS", "200");
    let (one, two) = (settings.start().await, settings.start().await);
    let load = Load::start(8, seed, &[&one, &two]);
    for _ in 0..rounds(1) {
        load.answers(100).await;
        let () = redis.ask(&["FLUSHALL"]).await;
        load.answers(100).await;

        let hung = Instant::now();
        redis.freeze();
        load.answers(100).await;
        while lasts(hung, Duration::from_secs(40)) {
            load.answers(100).await;
        }
        redis.thaw();
        load.answers(100).await;

        let () = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
        load.answers(100).await;
        let () = redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
        load.answers(100).await;

        redis.stop().await;
        load.answers(100).await;
        redis.revive().await;
        load.answers(100).await;
    }
    let log = load.finish().await;
    // 409: a repeat while the first is under way, or its mark has not expired yet. 503: the other
    // daemon was in the way for longer than a request waits.
    let odd = log.first_but(&[Some(200), Some(201), Some(409), Some(422), Some(503)]);
    let odd = odd.or_else(|| log.first_503_but_contended());
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(one.stop().await, Some(0));
    assert_eq!(two.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}");
}
