//! The local bus: a daemon that needs nothing but PostgreSQL.

use std::process::Command;
use std::time::Instant;

use aegis::bus::{Arrived, Record};
use aegis::dlq::Indexer;
use aegis::event::{DeadLetter, Original};
use serde_json::Value;

use crate::common::ran::Ran;
use crate::scene::{START, Scene, TOPIC, command, record};
use crate::shared::PATIENCE;
use crate::shared::daemon::{Daemon, Settings};

fn aegisctl(scene: &Scene, daemon: &Daemon, arguments: &[&str]) -> Ran {
    let (host, port) = daemon.address.rsplit_once(':').unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", scene.database.url())
        .env("REDIS_ADDRESS", "")
        .env("SERVER_HOST", host)
        .env("SERVER_PORT", port)
        .output()
        .unwrap();
    Ran::of(output)
}

/// A dead letter of a message that was on the topic of commands.
async fn bury(scene: &Scene, message: &Record) {
    let original = Original {
        topic: &message.topic,
        key: &message.key,
        headers: &message.headers,
        payload: &message.payload,
    };
    let letter = DeadLetter::new(original, "psp: away", 6, START, None).unwrap();
    let arrived = Arrived {
        record: Record {
            topic: format!("{TOPIC}.dlq"),
            key: message.key.clone(),
            headers: letter.record_headers(None),
            payload: letter.to_json().unwrap(),
        },
        place: None,
    };
    let indexer = Indexer::new(scene.pool().clone());
    assert_eq!(indexer.index(&[arrived], START).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_on_the_local_bus_a_command_takes_effect_and_what_cant_be_read_comes_back() {
    let scene = Scene::new().await;
    let good = record(TOPIC, "a", &command("k", "world", "shop", 70));
    let mut bad = record(TOPIC, "b", &command("bad", "world", "shop", 1));
    bad.payload = b"{".to_vec();
    bury(&scene, &good).await;
    bury(&scene, &bad).await;
    let daemon = Settings::new(scene.database.url()).start().await;
    aegisctl(&scene, &daemon, &["dlq", "replay", "--all", "--yes"]).exits(0);
    let query = "SELECT count(*) FROM dead_letters WHERE replay_count = 1 AND previous_id = 2";
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "it does not come back");
        let back: i64 = sqlx::query_scalar(query)
            .fetch_one(scene.pool())
            .await
            .unwrap();
        if back == 1 && scene.balance().await == 70 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let letters = scene.letters().await;
    assert_eq!(letters.len(), 3, "only one came back");
    assert!(
        letters[2].error.starts_with("unreadable: "),
        "{}",
        letters[2].error
    );
    assert_eq!(letters[2].partition, -1, "a local bus has no partitions");
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_waits_and_the_breakers() {
    let scene = Scene::new().await;
    let asked = command("k", "shop", "world", 70);
    let message = record(TOPIC, "a", &asked);
    bury(&scene, &message).await;
    scene.take("a", &asked).await;
    let daemon = Settings::new(scene.database.url()).start().await;
    let status = aegisctl(&scene, &daemon, &["-o", "json", "status"]).json();
    let check = |name: &str| {
        let checks = status["checks"].as_array().unwrap().iter();
        let found = checks.clone().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {status}")).clone()
    };
    let (retries, letters) = (check("retries"), check("dead letters"));
    assert_eq!(retries["status"], "degraded");
    let told = letters["detail"].as_str().unwrap();
    assert!(
        told.starts_with("1 wait for a decision, the oldest for "),
        "{told}"
    );
    assert_eq!(check("breakers")["status"], "ok");
    assert_eq!(
        status["breakers"],
        Value::Array(Vec::new()),
        "nothing to break here"
    );
    assert_eq!(status["ok"], false);
}
