//! PostgreSQL crashed and restarted under load.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::{CURRENCY, Scene, WALLETS, WORLD};
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;
use crate::support::port::free_port;
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
    let http = Client::new();
    let ledger = format!("http://{}/v1/ledgers/main", daemon.address);
    let body = json!({
        "source": WORLD, "destination": WALLETS[0], "currency": CURRENCY, "amount": 1,
    });
    let post = http.post(format!("{ledger}/transfers"));
    let read = || http.get(format!("{ledger}/wallets/{WORLD}"));
    for request in [post.header("Idempotency-Key", "late").json(&body), read()] {
        let asked = Instant::now();
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(14), "{took:?}");
    }
    let probe = reqwest::get(format!("http://{}/readyz", daemon.address)).await;
    assert_eq!(probe.unwrap().status(), 503);
    let alive = reqwest::get(format!("http://{}/livez", daemon.address)).await;
    assert_eq!(alive.unwrap().status(), 200);
    daemon.logged("a dependency changed").await;

    postgres.revive().await;
    load.answers(50).await;
    assert_eq!(read().send().await.unwrap().status(), 200);
    told_of_the_return(&daemon).await;
    assert!(daemon.runs());
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    let bare = |call: &&crate::seen::Call| call.status == Some(503) && !call.retry_after;
    let bare = log.calls.iter().find(bare);
    assert!(bare.is_none(), "without Retry-After: {bare:?}");
    scene.all_published().await;
    // However many requests met it.
    let warnings = daemon.warnings();
    assert!(warnings.len() <= 6, "{}: {warnings:#?}", warnings.len());
    assert_eq!(daemon.stop().await, Some(0));
    assert_all_is_well(&scene, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_warned_of_once_however_many_workers_meet_it() {
    let mut postgres = Postgres::start().await;
    let scene = Scene::on(&postgres).await;
    let psp = format!("http://127.0.0.1:{}", free_port());
    let mut daemon = scene
        .daemon()
        .with("PAYSTACK_SECRET_KEY", "sk_test_away")
        .with("PAYSTACK_BASE_URL", &psp)
        .with("RUST_LOG", "info,aegis=debug,aegis::request=warn")
        .start()
        .await;
    postgres.stop_immediate().await;
    let workers = [
        ("webhooks wait", "webhooks are handled again"),
        ("payments wait", "payments go on"),
        ("refunds wait", "refunds go on"),
        (
            "payouts that are due can't be taken",
            "payouts that are due are taken again",
        ),
        (
            "payout runs can't be looked for",
            "payout runs are looked for again",
        ),
    ];
    // Each of them meets it again and again.
    for (waits, _) in workers {
        daemon.logged_again(waits, 3).await;
    }
    daemon.logged("a dependency changed").await;
    postgres.revive().await;
    for (_, goes_on) in workers {
        daemon.logged(goes_on).await;
    }
    told_of_the_return(&daemon).await;
    assert!(daemon.runs());
    for (waits, goes_on) in workers {
        let lines = daemon.all_logged(waits);
        let told = lines.iter().filter(|line| line["level"] == "INFO");
        assert_eq!(told.count(), 1, "{lines:#?}");
        assert_eq!(daemon.all_logged(goes_on).len(), 1, "{goes_on}");
    }
    let warnings = daemon.warnings();
    let of_workers = warnings.iter().find(|line| {
        let message = &line["message"];
        workers.iter().any(|(waits, _)| message == waits)
    });
    assert!(of_workers.is_none(), "{of_workers:?}");
    assert!(warnings.len() <= 6, "{}: {warnings:#?}", warnings.len());
    assert_eq!(daemon.stop().await, Some(0));
}

/// A line as it went, and one as it came back, which a slow machine may take for another absence.
async fn told_of_the_return(daemon: &Daemon) {
    let started = Instant::now();
    loop {
        let changes = daemon.all_logged("a dependency changed");
        let changes = changes.iter().filter(|line| line["part"] == "database");
        let statuses: Vec<&str> = changes
            .map(|line| line["status"].as_str().unwrap())
            .collect();
        if matches!(statuses[..], ["Failed", .., "Ok"]) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{statuses:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
