//! A daemon that hangs (`kill -STOP`) and goes on later, with locks held that others need.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::{CURRENCY, Scene, WALLETS, WORLD};
use crate::seen::{Fate, Sent};
use crate::support::PATIENCE;
use crate::{lasts, seed};

const LEADS: &str = "this relay has the outbox";
/// How long it hangs in the long form.
const IN_FULL: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_hangs_loses_its_place_and_does_no_harm_when_it_goes_on() {
    let seed = seed();
    let scene = Scene::new().await;
    // Stopped with a claim in its hands: when it goes on, it publishes what others have published.
    let mut hung = scene
        .daemon()
        .with("RELAY_CLAIM_ROWS_MAX", "8")
        .with("AEGIS_FAILPOINTS", "relay.claimed=stop@20")
        .start()
        .await;
    hung.logged(LEADS).await;
    let mut other = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&hung, &other]);
    hung.logged("a fail point is reached").await;
    let since = Instant::now();
    load.aim(&[&other]);
    other.logged(LEADS).await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(40), "took over after {took:?}");
    load.answers(100).await;
    while lasts(since, IN_FULL) {
        load.answers(1).await;
    }
    hung.thaw();
    load.aim(&[&hung, &other]);
    hung.logged("the relay starts over").await;
    load.answers(200).await;
    let log = load.finish().await;
    // 503: it may have stopped with the wallets of a posting locked, too.
    let odd = log.first_but(&[None, Some(200), Some(201), Some(422), Some(503), Some(504)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(hung.stop().await, Some(0));
    assert_eq!(other.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; taken over after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_posting_that_hangs_with_its_wallets_locked_holds_others_up_for_seconds() {
    let seed = seed();
    let scene = Scene::new().await;
    let fails = scene
        .daemon()
        .with("AEGIS_FAILPOINTS", "posting.commits=stop");
    let mut hung = fails.start().await;
    let mut other = scene.daemon().start().await;
    let batch = tokio::spawn(large_batch(hung.address.clone()));
    hung.logged("a fail point is reached").await;
    let since = Instant::now();
    let load = Load::start(8, seed, &[&other]);
    // The locks are felt, and everybody is told.
    load.unavailable(4).await;
    load.answers(50).await;
    assert!(other.runs());
    let held = since.elapsed();
    assert!(held < Duration::from_secs(25), "held up for {held:?}");
    while lasts(since, IN_FULL) {
        load.answers(1).await;
    }
    hung.thaw();
    let batch = batch.await.unwrap();
    load.aim(&[&hung, &other]);
    load.answers(100).await;
    let mut log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503), Some(504)]);
    assert!(odd.is_none(), "{odd:?}");
    log.sent.extend(batch);
    scene.all_published().await;
    assert_eq!(hung.stop().await, Some(0));
    assert_eq!(other.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; held up for {held:?}");
}

#[tokio::test]
async fn a_relay_with_nothing_to_do_keeps_its_place() {
    let scene = Scene::new().await;
    // It looks once a minute, and the server waits 20 s for a word.
    let settings = scene.daemon().with("RELAY_POLL_MS", "60000");
    let mut daemon = settings.start().await;
    daemon.logged(LEADS).await;
    let mut conn = scene.connect().await;
    let started = Instant::now();
    loop {
        let age: Option<i64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM now() - backend_start)::bigint FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'aegis-relay'",
        )
        .fetch_optional(&mut conn)
        .await
        .unwrap();
        if age.expect("the session is there") >= 22 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "it keeps starting over");
        sleep(Duration::from_millis(500)).await;
    }
    assert!(!daemon.has_logged("the relay starts over"));
    assert_eq!(daemon.stop().await, Some(0));
}

/// As many transfers as have the wallets locked from the first step to the COMMIT, sent until there
/// is an answer.
async fn large_batch(address: String) -> Vec<Sent> {
    let mut batch: Vec<Sent> = (0..1_200)
        .map(|n| Sent {
            key: format!("large-{n}"),
            source: WORLD,
            destination: WALLETS[n % WALLETS.len()],
            amount: 1,
            bulky: false,
            batch: Some("large".to_owned()),
            tries: 0,
            fate: Fate::Unknown,
        })
        .collect();
    let transfers: Vec<Value> = batch.iter().map(transfer).collect();
    let body = json!({"transfers": transfers, "atomic": true});
    let http = reqwest::Client::new();
    let started = Instant::now();
    let mut tries = 0;
    let answer: Value = loop {
        assert!(started.elapsed() < PATIENCE, "no answer to the batch");
        tries += 1;
        let request = http
            .post(format!("http://{address}/v1/ledgers/main/transfers/batch"))
            .header("Idempotency-Key", "large");
        let answer = request.json(&body).send().await.unwrap();
        match answer.status().as_u16() {
            200 => break answer.json().await.unwrap(),
            503 | 504 => {}
            odd => panic!("{odd}: {}", answer.text().await.unwrap()),
        }
    };
    let results = answer["results"].as_array().unwrap();
    for (sent, result) in batch.iter_mut().zip(results) {
        sent.tries = tries;
        sent.fate = Fate::Posted {
            id: result["transaction_id"].as_str().unwrap().parse().unwrap(),
            replayed: result["status"] == "replayed",
        };
    }
    batch
}

fn transfer(sent: &Sent) -> Value {
    json!({
        "idempotency_key": sent.key,
        "source": sent.source,
        "destination": sent.destination,
        "currency": CURRENCY,
        "amount": sent.amount,
    })
}
