//! PostgreSQL crashed and restarted under load.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::{CURRENCY, Scene, WALLETS, WORLD};
use crate::support::postgres::Postgres;
use crate::{rounds, seed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_and_comes_back_loses_and_doubles_nothing() {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut postgres = Postgres::start().await;
    let scene = Scene::on(&postgres).await;
    let mut daemon = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&daemon]);
    for round in 0..rounds(4) {
        load.answers(rng.u64(50..200)).await;
        match round % 3 {
            0 => postgres.stop_immediate().await,
            1 => postgres.kill().await,
            _ => postgres.stop_fast().await,
        }
        postgres.revive().await;
        // It comes back by itself.
        load.answers(50).await;
        assert!(daemon.runs());
    }
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; {} answers of 503", log.count(503));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_every_caller_is_soon_told_to_come_again() {
    let seed = seed();
    let mut postgres = Postgres::start().await;
    let scene = Scene::on(&postgres).await;
    let mut daemon = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&daemon]);
    load.answers(50).await;
    postgres.stop_immediate().await;
    load.unavailable(16).await;
    // By now it is known to be away: nobody else has to find that out by waiting.
    let asked = Instant::now();
    let answer = Client::new()
        .post(format!(
            "http://{}/v1/ledgers/main/transfers",
            daemon.address
        ))
        .header("Idempotency-Key", "late")
        .json(&json!({
            "source": WORLD, "destination": WALLETS[0], "currency": CURRENCY, "amount": 1,
        }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    let probe = reqwest::get(format!("http://{}/readyz", daemon.address)).await;
    assert_eq!(probe.unwrap().status(), 503);
    let alive = reqwest::get(format!("http://{}/livez", daemon.address)).await;
    assert_eq!(alive.unwrap().status(), 200);

    postgres.revive().await;
    load.answers(50).await;
    assert!(daemon.runs());
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    let bare = |call: &&crate::load::Call| call.status == Some(503) && !call.retry_after;
    let bare = log.calls.iter().find(bare);
    assert!(bare.is_none(), "without Retry-After: {bare:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    assert_all_is_well(&scene, &log).await;
}
