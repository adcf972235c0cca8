//! Which letters a run has, how fast it goes, and that there is one of it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use aegis::bus::{Bus, LocalBus};
use aegis::dlq::DlqError;
use aegis::dlq::replay::{Ending, Notice, Options};
use aegis::dlq::selection::{Selection, Which};
use tokio_util::sync::CancellationToken;

use crate::support::{Scene, all, header};

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_come_straight_back_are_not_part_of_the_run() {
    let scene = Scene::new().await;
    scene.letters(&["a", "b", "c", "a", "b"]).await;
    // A consumer that fails every message at once.
    let bus = LocalBus::new(16);
    let mut inbox = bus.subscribe("consumer", &[&scene.topic.name]).unwrap();
    let (pool, topic) = (scene.pool().clone(), scene.topic.name.clone());
    let consumer = tokio::spawn(async move {
        while let Some(delivery) = inbox.recv().await {
            let key = String::from_utf8(delivery.record.key.clone()).unwrap();
            let draft = crate::support::Draft::new(&topic, &key);
            draft.insert(&pool).await;
            delivery.ack();
        }
    });
    let options = Options {
        rate: NonZeroU32::new(1_000),
        ..Options::default()
    };
    let report = scene.replay_to(&Bus::Local(bus), options).await;
    let run = report.run;
    assert_eq!((report.ending, report.counts.replayed), (Ending::Done, 5));
    assert_eq!(
        scene.count("waiting").await,
        5,
        "they wait for the next one"
    );
    let pinned: i64 =
        sqlx::query_scalar("SELECT last_letter_id FROM dead_letter_replays WHERE id = $1")
            .bind(run)
            .fetch_one(scene.pool())
            .await
            .unwrap();
    assert_eq!(pinned, 5);
    consumer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_rate_no_more_goes_out_at_once_than_it_allows() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 12]).await;
    let options = Options {
        rate: NonZeroU32::new(50),
        ..Options::default()
    };
    let replay = scene.begin(scene.plan().await, options).await.unwrap();
    let stop = CancellationToken::new();
    let mut seen = Vec::new();
    // Stopped by the second batch: what is out by then is two batches.
    let mut notice = |notice: Notice<'_>| {
        if let Notice::Progress(counts) = notice {
            seen.push(counts.replayed);
            if seen.len() == 2 {
                stop.cancel();
            }
        }
    };
    let report = replay
        .run(&scene.kafka(), &stop, &mut notice)
        .await
        .unwrap();
    assert_eq!(report.ending, Ending::Stopped);
    assert_eq!(seen, [5, 10]);
    assert_eq!(scene.arrived().await.len(), 10);
    assert_eq!(scene.count("replayed").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_given_in_letters_a_second() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 4]).await;
    let began = Instant::now();
    let ran = scene.json(&["--yes", "dlq", "replay", "--all", "--rate", "2/s"]);
    assert_eq!(ran["replayed"], 4);
    assert!(began.elapsed() >= Duration::from_millis(1_500));
    for rate in ["0", "-1", "2/min", "fast", ""] {
        scene
            .run(&["dlq", "replay", "--all", "--rate", rate])
            .exits(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_is_what_its_options_say() {
    let scene = Scene::new().await;
    let other = format!("{}.other", scene.topic.name);
    let (pool, day) = (scene.pool(), time::Duration::DAY);
    let mut early = scene.draft("a").error("timeout: 30 s");
    early.failed_at -= day;
    let early = early.insert(pool).await;
    let late = scene
        .draft("b")
        .error("Timeout_Of_PSP: 3%_s")
        .insert(pool)
        .await;
    let third = scene.draft("c").insert(pool).await;
    let mut elsewhere = crate::support::Draft::new(&other, "a");
    elsewhere.ledger = Some("eu".into());
    let elsewhere = elsewhere.insert(pool).await;
    let decided = scene.draft("d").insert(pool).await;
    scene
        .run(&[
            "--yes",
            "dlq",
            "discard",
            &decided.to_string(),
            "--reason",
            "x",
        ])
        .exits(0);
    let asked = |options: &[&str], expected: &[i64]| {
        let args: Vec<&str> = ["dlq", "replay", "--dry-run"]
            .iter()
            .chain(options)
            .copied()
            .collect();
        let plan = scene.json(&args);
        let last = expected.last().copied().unwrap_or_default();
        assert_eq!(plan["total"], expected.len(), "{options:?}: {plan}");
        assert_eq!(plan["last_letter_id"], last, "{options:?}: {plan}");
    };
    asked(&["--all"], &[early, late, third, elsewhere]);
    asked(&["--topic", &scene.topic.name], &[early, late, third]);
    asked(
        &["--topic", &format!("{}.dlq", scene.topic.name)],
        &[early, late, third],
    );
    asked(&["--error", "TIMEOUT"], &[early, late]);
    // Nothing in the text has a meaning of its own.
    asked(&["--error", "3%_s"], &[late]);
    asked(&["--error", "t%t"], &[]);
    asked(&["--error", "' OR true --"], &[]);
    asked(&["--since", "2026-11-23"], &[late, third, elsewhere]);
    asked(&["--all", "--limit", "2"], &[early, late]);
    asked(&["--all", "--ledger", "main"], &[early, late, third]);
    for wrong in [
        &["dlq", "replay"][..],
        &["dlq", "replay", "--limit", "3"],
        &["dlq", "replay", "1", "--all"],
        &["dlq", "replay", "1", "--topic", "t"],
        &["dlq", "replay", "x"],
        &["dlq", "replay", "--all", "--limit", "0"],
        &["dlq", "replay", "--since", "yesterday"],
        &["dlq", "replay", "--error", ""],
    ] {
        scene.run(wrong).exits(2);
    }
    let ledger = Selection {
        ledger: Some("eu".into()),
        ..Selection::new(all())
    };
    let plan = scene.plan_for(ledger).await;
    assert_eq!(plan.topics(), [other]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replay_a_topic_at_a_time() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b"]).await;
    let held = scene
        .begin(scene.plan().await, Options::default())
        .await
        .unwrap();
    let second = scene.begin(scene.plan().await, Options::default()).await;
    let Err(DlqError::Busy { topic, by }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(topic, scene.topic.name);
    assert_eq!(by.unwrap().started_by, "tester");

    let ran = scene.run(&["--yes", "dlq", "replay", "--all"]).exits(6);
    let ran = ran.says("begun by tester from bench-1").says("dlq cancel");
    assert!(ran.stdout.is_empty());
    let id = ids[0].to_string();
    let discard = ["--yes", "dlq", "discard", &id, "--reason", "in its way"];
    scene.run(&discard).exits(6).says("tester");
    // Another topic is another matter.
    let other = crate::shared::topic::DaemonTopic::on_shared_kafka().await;
    crate::support::Draft::new(&other.name, "a")
        .insert(scene.pool())
        .await;
    scene
        .run(&["--yes", "dlq", "replay", "--topic", &other.name])
        .exits(0);

    let run = held.id();
    drop(held);
    scene.wait_until_free().await;
    let runs = scene.json(&["dlq", "replays"]);
    let died = runs
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == run)
        .unwrap();
    assert_eq!(died["status"], "interrupted", "whoever looks next says so");
    scene.run(&discard).exits(0);
    scene.run(&["--yes", "dlq", "replay", "--all"]).exits(0);
    assert_eq!(scene.arrived().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_topic_another_one_took_is_marked_interrupted() {
    let scene = Scene::new().await;
    scene.letters(&["a"]).await;
    let first = scene
        .begin(scene.plan().await, Options::default())
        .await
        .unwrap();
    let died = first.id();
    drop(first);
    scene.wait_until_free().await;
    let second = scene
        .begin(scene.plan().await, Options::default())
        .await
        .unwrap();
    assert_eq!(scene.run_row(died).await.0, "interrupted");
    assert_eq!(scene.run_row(second.id()).await.0, "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_lives_a_letter_needs_force() {
    let scene = Scene::new().await;
    let young = scene.draft("a").lives(2).insert(scene.pool()).await;
    let old = scene.draft("b").lives(3).insert(scene.pool()).await;
    let ran = scene
        .run(&["--yes", "-o", "json", "dlq", "replay", "--all"])
        .exits(5);
    let ran = ran
        .says(&format!("letter {old} was replayed 3 times"))
        .says("--force");
    assert_eq!(ran.json()["left_out"][0]["code"], "needs_force");
    assert_eq!(ran.json()["replayed"], 1);
    // Alone: nothing is done, and that is not all that was asked for.
    let alone = scene
        .run(&["-o", "json", "dlq", "replay", &old.to_string()])
        .exits(5);
    assert_eq!(alone.json()["run"], serde_json::Value::Null);
    scene
        .run(&["--yes", "dlq", "replay", &old.to_string(), "--force"])
        .exits(0);
    let arrived = scene.arrived().await;
    let mut lives: Vec<(&str, &str)> = arrived
        .iter()
        .map(|message| {
            let from = header(message, "aegis_replayed_from");
            (from, header(message, "aegis_replay_count"))
        })
        .collect();
    lives.sort_unstable();
    let (young, old) = (young.to_string(), old.to_string());
    assert_eq!(lives, [(&*young, "3"), (&*old, "4")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_decided_on_is_replayed_again_only_by_its_number_and_with_force() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "c"]).await;
    let [first, second, third] = [ids[0], ids[1], ids[2]].map(|id| id.to_string());
    scene.run(&["--yes", "dlq", "replay", &first]).exits(0);
    scene
        .run(&["--yes", "dlq", "discard", &second, "--reason", "by mistake"])
        .exits(0);
    // Once more: it is done already.
    let again = scene.run(&["dlq", "replay", &first]).exits(0);
    again.says("was replayed already").says("nothing to replay");
    scene
        .run(&["dlq", "replay", &second])
        .exits(5)
        .says("was discarded");
    let both = scene
        .run(&["--yes", "dlq", "replay", &first, &third])
        .exits(0);
    both.says("was replayed already")
        .says("replayed 1 of 1 letter");
    scene
        .run(&["--yes", "dlq", "replay", "--all", "--force"])
        .exits(0);
    assert_eq!(
        scene.arrived().await.len(),
        2,
        "--all means those that wait"
    );

    scene
        .run(&["--yes", "dlq", "replay", &first, &second, "--force"])
        .exits(0);
    assert_eq!(scene.arrived().await.len(), 4);
    let statuses: Vec<_> = scene.statuses().await;
    let expected = [("replayed", 2), ("replayed", 1), ("replayed", 1)];
    assert_eq!(
        statuses,
        expected.map(|(status, count)| (status.to_owned(), count))
    );

    let unknown = scene
        .run(&["--yes", "-o", "json", "dlq", "replay", &first, "999"])
        .exits(3);
    assert_eq!(unknown.json()["code"], "dead_letter_not_found");
    assert_eq!(
        scene
            .plan_for(Selection::new(Which::ids(vec![999])))
            .await
            .unknown,
        [999]
    );
}
