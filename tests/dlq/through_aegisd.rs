//! Replays that run within the real `aegisd`: asked for over HTTP, and by `aegisctl` where the bus is
//! local.

use serde_json::{Value, json};

use crate::common::TestDatabase;
use crate::shared::daemon::{Daemon, Settings, signal};
use crate::support::{Ran, Scene, ended};

/// A daemon on the scene's database and topic.
async fn daemon(scene: &Scene) -> Daemon {
    let settings = Settings::new(scene.database.url());
    let settings = settings.with_kafka(&scene.topic.brokers, &scene.topic.name);
    settings.start().await
}

async fn begin(daemon: &Daemon, body: Value) -> Value {
    let answer = reqwest::Client::new()
        .post(format!("http://{}/v1/dead-letters/replays", daemon.address))
        .header("Idempotency-Key", "k")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    answer.json::<Value>().await.unwrap()["run"].clone()
}

/// The tool, which takes the bus for a local one within this daemon.
fn local(scene: &Scene, address: &str, args: &[&str]) -> std::process::Command {
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut command = scene.command(args);
    command
        .env("BUS", "local")
        .env("SERVER_HOST", host)
        .env("SERVER_PORT", port);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_leaves_the_rest_waiting() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 60]).await;
    let daemon = daemon(&scene).await;
    let run = begin(&daemon, json!({"all": true, "rate": 10})).await;
    scene.wait_until_replayed(2).await;
    assert_eq!(daemon.stop().await, Some(0), "within its deadline");
    let (status, replayed) = scene.run_row(run["id"].as_i64().unwrap()).await;
    assert_eq!(status, "interrupted");
    assert!((2..60).contains(&replayed));
    assert_eq!(
        i64::try_from(scene.arrived().await.len()).unwrap(),
        replayed
    );
    assert_eq!(scene.count("replayed").await, replayed);
    let deeds = scene.audit().await;
    let (first, last) = (&deeds[0], &deeds[deeds.len() - 1]);
    assert_eq!(
        (&*first.action, &*first.host),
        ("dead_letter_replay.started", "127.0.0.1")
    );
    assert_eq!(
        (&*last.action, &last.detail["ending"]),
        ("dead_letter_replay.ended", &"stopped".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_is_found_out_by_whoever_looks() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 60]).await;
    let mut daemon = daemon(&scene).await;
    let run = begin(&daemon, json!({"all": true, "rate": 10})).await;
    scene.wait_until_replayed(2).await;
    daemon.kill();
    scene.wait_until_free().await;
    let id = run["id"].as_i64().unwrap();
    assert_eq!(scene.run_row(id).await.0, "running", "nobody has looked");
    let watched = scene
        .run(&["-o", "json", "dlq", "watch", &id.to_string()])
        .exits(130);
    assert_eq!(watched.json()["status"], "interrupted");
    let again = scene.json(&["--yes", "dlq", "replay", "--all"]);
    assert_eq!(again["status"], "done");
    assert_eq!(scene.count("replayed").await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_local_bus_the_tool_has_aegisd_replay_and_follows_it() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b"]).await;
    let large = scene.draft("b").payload(vec![b'x'; 1_100_000]);
    let large = large.insert(scene.pool()).await;
    let daemon = daemon(&scene).await;
    let args = ["--yes", "-o", "json", "dlq", "replay", "--all"];
    let output = local(&scene, &daemon.address, &args).output().unwrap();
    let ran = Ran::of(output).exits(5).says(&format!("letter {large}: "));
    let summary = ran.json();
    assert_eq!(
        (&summary["replayed"], &summary["failed"]),
        (&2.into(), &1.into())
    );
    assert_eq!(summary["failures"][0]["id"], large);
    assert_eq!(scene.arrived().await.len(), 2);
    let started = &scene.audit().await[0];
    assert!(started.actor.starts_with("http: aegisctl/"), "{started:?}");
    // By number: said, and not done again.
    let args = ["--yes", "dlq", "replay", &ids[0].to_string()];
    let output = local(&scene, &daemon.address, &args).output().unwrap();
    Ran::of(output).exits(0).says("was replayed already");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupting_the_tool_stops_the_replay_within_aegisd() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 60]).await;
    let daemon = daemon(&scene).await;
    let mut command = local(
        &scene,
        &daemon.address,
        &["--yes", "dlq", "replay", "--all", "--rate", "10"],
    );
    let command = command.stdout(std::process::Stdio::piped());
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let run = scene.wait_until_replayed(2).await;
    signal(&child, "-INT");
    ended(child).exits(130).says("the rest waits");
    assert_eq!(scene.run_row(run).await.0, "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aegisd_of_another_database_is_not_asked_to_replay() {
    let scene = Scene::new().await;
    let id = scene.letters(&["a"]).await[0].to_string();
    let other = TestDatabase::create().await;
    let daemon = Settings::new(other.url()).start().await;
    let output = local(
        &scene,
        &daemon.address,
        &["--yes", "dlq", "replay", "--all"],
    )
    .output();
    Ran::of(output.unwrap()).exits(2).says("another database");
    let output = local(&scene, &daemon.address, &["--yes", "dlq", "replay", &id]).output();
    Ran::of(output.unwrap()).exits(2).says("another database");
    assert_eq!(scene.count("waiting").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_bus_without_a_listener_is_no_way() {
    let scene = Scene::new().await;
    scene.letters(&["a"]).await;
    let daemon = Settings::new(scene.database.url()).start().await;
    let output = local(
        &scene,
        &daemon.address,
        &["--yes", "dlq", "replay", "--all"],
    )
    .output();
    Ran::of(output.unwrap()).exits(7).says("nobody listens to");
    assert_eq!(scene.count("waiting").await, 1);
}
