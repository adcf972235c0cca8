//! Letters listed, shown and counted.

use serde_json::json;

use crate::support::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_a_letter_is_the_contract() {
    let scene = Scene::new().await;
    let mut draft = scene.draft("wallet-1").payload(&br#"{"b":1,"a":1.10}"#[..]);
    draft.correlation_id = Some("order-1".into());
    let id = draft.insert(scene.pool()).await;
    let ran = scene.run(&["-o", "jsonl", "dlq", "list"]).exits(0);
    assert!(
        ran.stdout
            .contains(r#""original_message":{"b":1,"a":1.10}"#),
        "byte for byte"
    );
    let letters = scene.json(&["dlq", "list"]);
    let letter = &letters[0];
    for (name, value) in [
        ("id", json!(id)),
        ("original_topic", json!(scene.topic.name)),
        ("error", json!("psp_unavailable: the PSP answered 503")),
        ("retry_count", json!(6)),
        ("failed_at", json!("2026-11-23T01:02:03Z")),
        ("correlation_id", json!("order-1")),
        ("status", json!("waiting")),
        ("replay_count", json!(0)),
        ("topic", json!(format!("{}.dlq", scene.topic.name))),
        ("partition", json!(0)),
        ("offset", json!(0)),
        ("event_id", json!(draft.event_id)),
        ("ledger", json!("main")),
        ("previous_id", json!(null)),
        ("first_id", json!(null)),
        ("decided_at", json!(null)),
        ("decided_by", json!(null)),
        ("reason", json!(null)),
    ] {
        assert_eq!(letter[name], value, "{name}");
    }
    let shown = scene.json(&["dlq", "show", &id.to_string()]);
    assert_eq!(shown["original_key"], "wallet-1");
    assert_eq!(
        shown["original_headers"][1],
        json!(["ce_source", "/ledgers/main"])
    );
    assert_eq!(shown["lives"].as_array().unwrap().len(), 1);
    let csv = scene.run(&["-o", "csv", "dlq", "list"]).exits(0).stdout;
    assert!(csv.starts_with("id,original_topic,error,"), "{csv}");
    assert!(csv.contains("1.10"), "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_by_what_is_known_of_them() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "c", "d"]).await;
    let mut odd = scene.draft("e").error("Timeout: 30 s");
    odd.correlation_id = Some("order-9".into());
    odd.ledger = None;
    odd.failed_at += time::Duration::DAY;
    let odd = odd.insert(scene.pool()).await;
    scene.decide(ids[0], ids[1]);
    let found = |options: &[&str]| -> Vec<i64> {
        let args: Vec<&str> = ["dlq", "list"].iter().chain(options).copied().collect();
        let letters = scene.json(&args);
        let letters = letters.as_array().unwrap().iter();
        letters
            .map(|letter| letter["id"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(found(&[]), [ids[2], ids[3], odd], "those that wait");
    assert_eq!(found(&["--status", "discarded"]), [ids[0]]);
    assert_eq!(found(&["--status", "replayed"]), [ids[1]]);
    assert_eq!(found(&["--status", "all"]).len(), 5);
    assert_eq!(found(&["--error", "timeout"]), [odd]);
    assert_eq!(found(&["--since", "2026-11-24"]), [odd]);
    assert_eq!(found(&["--correlation-id", "order-9"]), [odd]);
    assert_eq!(found(&["--topic", "no.such"]), [0_i64; 0]);
    assert_eq!(
        found(&["--ledger", "main"]),
        [ids[2], ids[3]],
        "only where it is asked for"
    );
    let cut = scene.run(&["dlq", "list", "--limit", "1"]).exits(0);
    let after = ids[2].to_string();
    let cut = cut.says(&format!("--after {after}"));
    assert_eq!(cut.stdout.lines().count(), 2);
    assert_eq!(found(&["--after", &after]), [ids[3], odd]);
    scene.run(&["--ledger", "none", "dlq", "list"]).exits(2);
    scene.run(&["dlq", "show", "999"]).exits(3);
    scene.run(&["dlq", "list", "--status", "lost"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lives_of_a_message_are_linked() {
    let scene = Scene::new().await;
    let first = scene.draft("a");
    let id = first.insert(scene.pool()).await;
    scene
        .run(&["--yes", "dlq", "replay", &id.to_string()])
        .exits(0);
    let mut second = first.clone().lives(1).error("timeout: again");
    (second.previous_id, second.first_id) = (Some(id), Some(id));
    let back = second.insert(scene.pool()).await;
    // Without an id of its own, the links alone tell.
    let mut nameless = scene.draft("b");
    nameless.headers.clear();
    let root = nameless.insert(scene.pool()).await;
    (nameless.previous_id, nameless.first_id) = (Some(root), Some(root));
    let child = nameless.insert(scene.pool()).await;
    sqlx::query("UPDATE dead_letters SET event_id = NULL WHERE id = ANY($1)")
        .bind(vec![root, child])
        .execute(scene.pool())
        .await
        .unwrap();
    for (ids, expected) in [([id, back], [id, back]), ([root, child], [root, child])] {
        for id in ids {
            let shown = scene.json(&["dlq", "show", &id.to_string()]);
            let lives = shown["lives"].as_array().unwrap().iter();
            let lives: Vec<i64> = lives.map(|life| life["id"].as_i64().unwrap()).collect();
            assert_eq!(lives, expected);
        }
    }
    let text = scene
        .run(&["dlq", "show", &back.to_string()])
        .exits(0)
        .stdout;
    for part in [
        "All lives of the message",
        "Message:",
        "\"key\": \"a\"",
        "ce_source",
        "Key: a",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_can_not_be_read_is_shown_all_the_same() {
    let scene = Scene::new().await;
    let mut draft = scene.draft("a");
    draft.raw = Some(b"\x1b[2Jnot json".to_vec());
    let id = draft.insert(scene.pool()).await.to_string();
    let shown = scene.json(&["dlq", "show", &id]);
    assert_eq!(shown["original_message"], json!(null));
    assert!(shown["unreadable"].is_string());
    let text = scene.run(&["dlq", "show", &id]).exits(0).stdout;
    assert!(
        text.contains("can't be published again") && !text.contains('\x1b'),
        "{text}"
    );
    scene.run(&["dlq", "list"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_counted_by_topic_and_error() {
    let scene = Scene::new().await;
    let ids = scene.letters(&["a", "b", "c"]).await;
    scene
        .draft("d")
        .error("timeout: 30 s")
        .insert(scene.pool())
        .await;
    scene
        .draft("e")
        .error("timeout: 31 s")
        .insert(scene.pool())
        .await;
    scene.decide(ids[0], ids[1]);
    let stats = scene.json(&["dlq", "stats"]);
    assert_eq!(
        (&stats["waiting"], &stats["replayed"], &stats["discarded"]),
        (&3.into(), &1.into(), &1.into())
    );
    let groups = stats["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(
        (&groups[0]["error_code"], &groups[0]["waiting"]),
        (&"timeout".into(), &2.into())
    );
    assert_eq!(groups[1]["error_code"], "psp_unavailable");
    assert_eq!(
        (&groups[1]["waiting"], &groups[1]["discarded"]),
        (&1.into(), &1.into())
    );
    assert_eq!(groups[0]["oldest_waiting_at"], "2026-11-23T01:02:03Z");
    assert!(groups[0]["oldest_waiting_seconds"].as_i64().unwrap() >= 0);
    let table = scene
        .run(&["dlq", "stats"])
        .exits(0)
        .says("3 waiting, 1 replayed, 1 discarded");
    assert!(table.stdout.contains("timeout"), "{table:?}");
}
