//! The same key two hundred times at once, and the daemon killed in the middle.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::scene::{CURRENCY, Scene, WALLETS, WORLD};
use crate::seen::{Fate, Log, Sent};
use crate::{rounds, seed};

const CALLERS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_two_hundred_times_at_once_is_posted_once_through_a_kill() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let scene = Scene::new().await;
    let settings = scene.daemon();
    let mut daemon = settings.start().await;
    let address = watch::Sender::new(daemon.address.clone());
    let mut log = Log::default();
    for round in 0..rounds(4) {
        let key = format!("same-{round}");
        // Two bodies: which one is first is nobody's to say.
        let amounts = [1, 2].map(|amount| amount + i64::try_from(round).unwrap() * 2);
        let (heard, mut answers) = mpsc::unbounded_channel();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (address, heard) = (address.subscribe(), heard.clone());
            let call = ask(address, key.clone(), amounts[caller % 2]);
            callers.spawn(async move {
                let answer = call.await;
                // Nobody listens any more once it was killed.
                let _ = heard.send(());
                answer
            });
        }
        drop(heard);
        // Anywhere from before the first answer to in the middle of them.
        for _ in 0..rng.usize(..CALLERS / 2) {
            answers.recv().await.expect("there are more callers");
        }
        daemon.kill();
        daemon = settings.start().await;
        address.send_replace(daemon.address.clone());
        let all = callers.join_all().await;
        log.sent.push(one_posting(key, &amounts, &all));
    }
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}");
}

/// An amount that was asked for; the status, whether it was said to be a repeat, and the answer.
type Asked = (i64, (u16, bool), Value);

/// Asks until there is an answer: the amount asked for, the status, what it says.
async fn ask(address: watch::Receiver<String>, key: String, amount: i64) -> Asked {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let body = json!({
        "source": WORLD, "destination": WALLETS[0], "currency": CURRENCY, "amount": amount,
    });
    loop {
        let url = format!("http://{}/v1/ledgers/main/transfers", *address.borrow());
        let request = http.post(url).header("Idempotency-Key", &key).json(&body);
        if let Ok(answer) = request.send().await {
            let status = answer.status().as_u16();
            let replayed = answer.headers().contains_key("idempotent-replayed");
            if let (201 | 422, Ok(answer)) = (status, answer.json().await) {
                return (amount, (status, replayed), answer);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// All who asked for the same were told of one transaction, the others of their key.
fn one_posting(key: String, amounts: &[i64], answers: &[Asked]) -> Sent {
    let posted = answers.iter().filter(|(_, (status, _), _)| *status != 422);
    let ids: HashSet<&str> = posted
        .clone()
        .map(|(.., answer)| answer["transaction_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 1, "{key} is one transaction");
    let won: HashSet<i64> = posted.clone().map(|(amount, ..)| *amount).collect();
    assert_eq!(won.len(), 1, "{key} is of one body");
    assert!(won.iter().all(|amount| amounts.contains(amount)));
    assert_eq!(
        posted.clone().count(),
        CALLERS / 2,
        "all of that body were told"
    );
    let first = posted.filter(|(_, (_, replayed), _)| !replayed).count();
    assert!(first <= 1, "{key} was posted {first} times");
    for (.., problem) in answers.iter().filter(|(_, (status, _), _)| *status == 422) {
        assert_eq!(problem["code"], "idempotency_key_reused");
    }
    Sent {
        key,
        source: WORLD,
        destination: WALLETS[0],
        amount: won.into_iter().next().unwrap(),
        bulky: false,
        batch: None,
        tries: 2,
        fate: Fate::Posted {
            id: ids.into_iter().next().unwrap().parse().unwrap(),
            replayed: first == 0,
        },
    }
}
