//! A replay that does not come to its end loses nothing: killed, interrupted, cancelled, without
//! its bus or its database.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use aegis::bus::{Bus, LocalBus};
use aegis::dlq::replay::{Ending, Notice, Options};
use tokio_util::sync::CancellationToken;

use crate::shared::daemon::signal;
use crate::support::{Scene, ended, header};

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_publishing_and_mark_it_publishes_again_under_the_same_ids() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "a", "c", "b"]).await;
    // Somebody holds a letter's row, so that it can be published and not marked.
    let mut holder = scene.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM dead_letters WHERE id = $1 FOR UPDATE")
        .bind(ids[2])
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut killed = scene.start(&["--yes", "dlq", "replay", "--all"]);
    scene.database.wait_until_blocked().await;
    killed.kill().unwrap();
    ended(killed);
    assert_eq!(scene.arrived().await.len(), 5, "all were published");
    assert_eq!(scene.count("waiting").await, 5, "none was marked");
    holder.rollback().await.unwrap();
    scene.wait_until_free().await;

    let again = scene.json(&["--yes", "dlq", "replay", "--all"]);
    assert_eq!(
        (&again["replayed"], &again["status"]),
        (&5.into(), &"done".into())
    );
    let mut times: HashMap<String, usize> = HashMap::new();
    for message in &scene.arrived().await {
        *times
            .entry(header(message, "ce_id").to_owned())
            .or_default() += 1;
        // The repeat is the same life of the message: should it fail, it is the same letter.
        assert_eq!(header(message, "aegis_replay_count"), "1");
    }
    assert_eq!(times.len(), 5);
    assert!(
        times.values().all(|times| *times == 2),
        "a consumer drops the second"
    );
    assert_eq!(scene.statuses().await, vec![("replayed".to_owned(), 1); 5]);
    assert_eq!(scene.run_row(1).await, ("interrupted".to_owned(), 0));
}

/// The same by the fail point: the first batch is with the bus, and nothing is marked.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_its_fail_point_a_replay_that_is_run_again_loses_none() {
    let scene = Scene::new().await;
    scene.letters(&["a", "b", "a", "c", "b"]).await;
    let all = ["--yes", "dlq", "replay", "--all"];
    let mut failing = scene.command(&all);
    let failed = failing.env("AEGIS_FAILPOINTS", "replay.published=kill");
    assert_eq!(failed.output().unwrap().status.code(), None, "by a signal");
    assert_eq!(scene.count("waiting").await, 5, "none was marked");
    scene.wait_until_free().await;
    assert_eq!(scene.json(&all)["replayed"], 5);
    let mut times: HashMap<String, usize> = HashMap::new();
    for message in &scene.arrived().await {
        let id = header(message, "ce_id").to_owned();
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), 5, "none is lost");
    let repeats: usize = times.values().map(|times| times - 1).sum();
    assert!(repeats > 0, "a repeat has the id of the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_half_way_the_same_command_goes_on_and_loses_none() {
    let scene = Scene::new().await;
    let keys: Vec<String> = (0..60).map(|n| format!("k{}", n % 5)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    scene.letters(&keys).await;
    let mut killed = scene.start(&["--yes", "dlq", "replay", "--all", "--rate", "4/s"]);
    let run = scene.wait_until_replayed(4).await;
    killed.kill().unwrap();
    ended(killed);
    scene.wait_until_free().await;
    let (_, before) = scene.run_row(run).await;
    assert!(before < 60);
    assert_eq!(
        scene.count("replayed").await,
        before,
        "marked together with the progress"
    );
    let again = scene.json(&["--yes", "dlq", "replay", "--all"]);
    assert_eq!(again["replayed"], 60 - before);
    let mut from: Vec<i64> = scene
        .arrived()
        .await
        .iter()
        .map(|message| header(message, "aegis_replayed_from").parse().unwrap())
        .collect();
    from.sort_unstable();
    from.dedup();
    assert_eq!(from.len(), 60, "every one is there");
    assert_eq!(scene.run_row(run).await.0, "interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_stops_at_a_safe_point_and_says_how_to_go_on() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 30]).await;
    let child = scene.start(&["--yes", "dlq", "replay", "--all", "--rate", "1/s"]);
    let run = scene.wait_until_replayed(2).await;
    signal(&child, "-INT");
    let ran = ended(child).exits(130).says("go on with the same command");
    let (status, replayed) = scene.run_row(run).await;
    assert_eq!(status, "interrupted");
    assert!(
        ran.stderr.contains(&format!("replayed {replayed} of 30")),
        "{ran:?}"
    );
    let on_the_topic = i64::try_from(scene.arrived().await.len()).unwrap();
    assert_eq!(
        on_the_topic, replayed,
        "nothing is between publishing and mark"
    );
    scene.run(&["--yes", "dlq", "replay", "--all"]).exits(0);
    assert_eq!(scene.arrived().await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_watched_and_cancelled_from_elsewhere() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 40]).await;
    let child = scene.start(&["--yes", "dlq", "replay", "--all", "--rate", "1/s"]);
    let run = scene.wait_until_replayed(2).await.to_string();
    let watching = scene.start(&["-o", "json", "dlq", "watch", &run]);
    let asked = scene.run(&["dlq", "cancel", &run, "--reason", "not mended yet"]);
    asked.exits(0).says("was asked to stop");
    let ran = ended(child).exits(130).says("cancelled");
    assert!(ran.stderr.contains("the rest waits"), "{}", ran.stderr);
    let watched = ended(watching).exits(130).json();
    assert_eq!(
        (&watched["status"], &watched["cancel_requested"]),
        (&"cancelled".into(), &true.into())
    );
    let replayed = watched["replayed"].as_i64().unwrap();
    assert!((2..40).contains(&replayed));
    assert_eq!(
        i64::try_from(scene.arrived().await.len()).unwrap(),
        replayed
    );
    // Once more, and of none.
    scene
        .run(&["dlq", "cancel", &run])
        .exits(0)
        .says("has ended already: cancelled");
    scene
        .run(&["dlq", "cancel", "999"])
        .exits(3)
        .says("there is no replay 999");
    scene.run(&["dlq", "watch", "999"]).exits(3);
    scene
        .run(&["dlq", "watch"])
        .exits(0)
        .says("no replay is running");
    scene.run(&["dlq", "watch", &run]).exits(130);
    let asked = scene.audit().await;
    let asked = asked
        .iter()
        .find(|deed| deed.action.ends_with("cancel_requested"))
        .unwrap();
    assert_eq!(asked.target, format!("dead_letter_replay:{run}"));
    assert_eq!(asked.reason.as_deref(), Some("not mended yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_away_for_a_while_is_waited_for() {
    let scene = Scene::new().await;
    scene.letters(&["a", "b", "a"]).await;
    let bus = LocalBus::new(16);
    // Gone: its topics are an outage until it is back.
    drop(bus.subscribe("consumer", &[&scene.topic.name]).unwrap());
    let replay = scene
        .begin(scene.plan().await, Options::default())
        .await
        .unwrap();
    let (topic, back) = (scene.topic.name.clone(), bus.clone());
    let mut told = 0;
    let mut notice = |notice: Notice<'_>| {
        if let Notice::BusAway(_) = notice {
            told += 1;
            let subscribed = back.subscribe("consumer", &[&topic]);
            if let Ok(mut inbox) = subscribed {
                tokio::spawn(async move {
                    while let Some(delivery) = inbox.recv().await {
                        delivery.ack();
                    }
                });
            }
        }
    };
    let never = CancellationToken::new();
    let report = replay
        .run(&Bus::Local(bus.clone()), &never, &mut notice)
        .await
        .unwrap();
    assert_eq!((report.ending, report.counts.replayed), (Ending::Done, 3));
    assert_eq!(told, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_stays_away_ends_the_run_and_the_letters_wait() {
    let scene = Scene::new().await;
    scene.letters(&["a", "b"]).await;
    let bus = LocalBus::new(16);
    drop(bus.subscribe("consumer", &[&scene.topic.name]).unwrap());
    let options = Options {
        outage_max: Duration::from_millis(300),
        rate: NonZeroU32::new(100),
        ..Options::default()
    };
    let report = scene.replay_to(&Bus::Local(bus), options).await;
    let run = report.run;
    assert!(matches!(report.ending, Ending::BusAway(_)), "{report:?}");
    assert_eq!(scene.run_row(run).await, ("interrupted".to_owned(), 0));
    assert_eq!(scene.statuses().await, vec![("waiting".to_owned(), 0); 2]);
    let last = scene.audit().await.pop().unwrap();
    assert_eq!(
        (&*last.action, &last.detail["left"]),
        ("dead_letter_replay.ended", &2.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bus_or_database_nothing_is_begun_and_the_code_is_7() {
    let scene = Scene::new().await;
    let id = scene.letters(&["a"]).await[0].to_string();
    let before = scene.fingerprint().await;
    let away = |name: &str, value: &str| {
        let mut command = scene.command(&["--yes", "dlq", "replay", &id]);
        let output = command.env(name, value).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(7), "{told}");
        told
    };
    let told = away("KAFKA_BROKERS", "127.0.0.1:1");
    assert!(
        told.contains("KAFKA_BROKERS") && told.contains("nothing was done"),
        "{told}"
    );
    let told = away("DATABASE_URL", "postgres://aegis@127.0.0.1:1/aegis");
    assert!(told.contains("DATABASE_URL"), "{told}");
    // The local bus lives within a daemon, and none is there.
    let mut command = scene.command(&["--yes", "dlq", "replay", &id]);
    let command = command.env("BUS", "local").env("SERVER_PORT", "1");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(
        told.contains("start aegisd") && told.contains("nothing was done"),
        "{told}"
    );
    assert_eq!(scene.fingerprint().await, before);
}
