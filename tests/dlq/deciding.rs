//! Whoever decides sees before what will be done, and is written down.

use serde_json::json;

use crate::support::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "a"]).await;
    scene
        .draft("c")
        .error("timeout: 30 s")
        .insert(scene.pool())
        .await;
    let before = scene.fingerprint().await;
    let plan = scene.json(&["dlq", "replay", "--all", "--dry-run"]);
    assert_eq!(
        (&plan["total"], &plan["last_letter_id"]),
        (&4.into(), &4.into())
    );
    assert_eq!(plan["topics"], json!([scene.topic.name]));
    let groups = plan["groups"].as_array().unwrap().iter();
    let groups: Vec<_> = groups
        .map(|group| (&group["error_code"], &group["count"]))
        .collect();
    assert_eq!(
        groups,
        [
            (&json!("psp_unavailable"), &json!(3)),
            (&json!("timeout"), &json!(1))
        ]
    );
    let table = scene.run(&["dlq", "replay", "--all", "--dry-run"]).exits(0);
    assert!(table.stdout.contains("psp_unavailable"), "{table:?}");
    let id = ids[0].to_string();
    scene
        .run(&["dlq", "discard", &id, "--reason", "x", "--dry-run"])
        .exits(0)
        .says("would be");
    assert_eq!(scene.fingerprint().await, before);
    assert!(scene.arrived().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_to_ask_on_nothing_is_done() {
    let scene = Scene::new().await;
    let id = scene.letters(&["a"]).await[0].to_string();
    let before = scene.fingerprint().await;
    let ran = scene
        .run(&["dlq", "replay", "--all"])
        .exits(8)
        .says("--yes");
    assert!(
        ran.stderr.contains("psp_unavailable"),
        "the plan is shown: {}",
        ran.stderr
    );
    scene
        .run(&["dlq", "discard", &id, "--reason", "x"])
        .exits(8)
        .says("--dry-run");
    // No environment variable answers for a person.
    let mut command = scene.command(&["dlq", "replay", "--all"]);
    let command = command
        .env("AEGIS_YES", "1")
        .env("YES", "1")
        .env("CI", "true");
    assert_eq!(command.output().unwrap().status.code(), Some(8));
    assert_eq!(scene.fingerprint().await, before);
    assert!(scene.arrived().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_is_done_without_a_question() {
    let scene = Scene::new().await;
    let summary = scene.json(&["dlq", "replay", "--all"]);
    assert_eq!(
        (&summary["status"], &summary["replayed"]),
        (&"nothing".into(), &0.into())
    );
    scene
        .run(&["dlq", "replay", "--all"])
        .exits(0)
        .says("nothing to replay");
    scene.run(&["dlq", "replay", "--all", "--dry-run"]).exits(0);
    assert!(scene.audit().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_tells_a_replay_from_its_plan_to_its_counts() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "c"]).await;
    scene
        .run(&["--yes", "dlq", "replay", "--all", "--limit", "2"])
        .exits(0);
    let deeds = scene.audit().await;
    let actions: Vec<&str> = deeds.iter().map(|deed| &*deed.action).collect();
    let expected = [
        "dead_letter_replay.started",
        "dead_letter_replay.published",
        "dead_letter_replay.ended",
    ];
    assert_eq!(actions, expected);
    for deed in &deeds {
        assert_eq!(deed.target, "dead_letter_replay:1");
        assert!(!deed.actor.is_empty() && !deed.host.is_empty(), "{deed:?}");
    }
    let plan = &deeds[0].detail;
    assert_eq!(
        (&plan["total"], &plan["last_letter_id"]),
        (&2.into(), &ids[1].into())
    );
    assert_eq!(plan["selection"]["limit"], 2);
    let mut published: Vec<i64> =
        serde_json::from_value(deeds[1].detail["letters"].clone()).unwrap();
    published.sort_unstable();
    assert_eq!(published, ids[..2]);
    let counts = &deeds[2].detail;
    assert_eq!(
        (&counts["replayed"], &counts["ending"]),
        (&2.into(), &"done".into())
    );
    let shown = scene.json(&["dlq", "show", &ids[0].to_string()]);
    assert_eq!(shown["decided_by"], deeds[0].actor.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_letter_stays_with_its_reason() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "c"]).await;
    let [first, second, third] = [ids[0], ids[1], ids[2]].map(|id| id.to_string());
    for wrong in [
        &[][..],
        &["--reason", ""],
        &["--reason", "  "],
        &["--reason", "a\nb"],
    ] {
        let args: Vec<&str> = ["--yes", "dlq", "discard", &first]
            .iter()
            .chain(wrong)
            .copied()
            .collect();
        scene.run(&args).exits(2);
    }
    scene
        .run(&["--yes", "dlq", "discard", "--reason", "x"])
        .exits(2);
    let unknown = [
        "--yes", "-o", "json", "dlq", "discard", &first, "999", "--reason", "x",
    ];
    let unknown = scene.run(&unknown).exits(3);
    assert_eq!(unknown.json()["code"], "dead_letter_not_found");
    assert_eq!(scene.count("waiting").await, 3, "all or none is known");

    let reason = "paid by hand, ticket 4711";
    let done = scene.json(&[
        "--yes", "dlq", "discard", &first, &second, "--reason", reason,
    ]);
    assert_eq!(done["discarded"], json!([ids[0], ids[1]]));
    let shown = scene.json(&["dlq", "show", &first]);
    assert_eq!(
        (&shown["status"], &shown["reason"]),
        (&"discarded".into(), &reason.into())
    );
    assert_eq!(
        shown["original_message"]["key"], "a",
        "the message is still there"
    );
    let deeds = scene.audit().await;
    assert_eq!(deeds.len(), 2);
    assert_eq!(deeds[0].target, format!("dead_letter:{first}"));
    assert_eq!(
        (&*deeds[0].action, deeds[0].reason.as_deref()),
        ("dead_letter.discarded", Some(reason))
    );

    // Once more, and of one that was replayed.
    scene
        .run(&["dlq", "discard", &first, "--reason", "y"])
        .exits(0)
        .says("was discarded at");
    scene.run(&["--yes", "dlq", "replay", &third]).exits(0);
    scene
        .run(&["dlq", "discard", &third, "--reason", "y"])
        .exits(5)
        .says("was replayed");
    assert_eq!(scene.json(&["dlq", "show", &first])["reason"], reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_tool_quietly() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 50]).await;
    let mut child = scene.start(&["-o", "jsonl", "dlq", "list"]);
    drop(child.stdout.take());
    let ran = ended(child).exits(0);
    assert_eq!(ran.stderr, "");
}
