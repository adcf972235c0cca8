//! What a replay publishes: the very message, in the order of its key, once a letter.

use std::collections::HashMap;

use aegis::dlq::replay::{Ending, Options};

use crate::support::{Scene, header};

#[tokio::test(flavor = "multi_thread")]
async fn the_very_bytes_go_back_to_their_topic_with_the_origins_headers() {
    let scene = Scene::new().await;
    let old = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let payloads: [&[u8]; 4] = [
        br#"{ "z":1, "a":1e400, "n":123456789012345678901234567890}"#,
        b"not json",
        b"",
        &[0xff, 0xfe, 0x00],
    ];
    let mut drafts = Vec::new();
    for payload in payloads {
        let mut draft = scene.draft("k").payload(payload);
        draft.key = vec![0x80, 0x01];
        draft.headers.insert(0, ("odd".into(), vec![0xff, 0x00]));
        draft.headers.extend([
            ("traceparent".into(), old.into()),
            ("tracestate".into(), b"vendor=1".to_vec()),
            ("correlation_id".into(), b"order-17".to_vec()),
            ("odd".into(), b"twice".to_vec()),
        ]);
        draft.correlation_id = Some("order-17".into());
        drafts.push((draft.insert(scene.pool()).await, draft));
    }
    let report = scene.replay(Options::default()).await;
    assert_eq!((report.ending, report.counts.replayed), (Ending::Done, 4));
    let arrived = scene.arrived().await;
    assert_eq!(arrived.len(), 4);
    for (arrived, (id, draft)) in arrived.iter().zip(&drafts) {
        assert_eq!(arrived.record.payload, draft.payload);
        assert_eq!(arrived.record.key, draft.key);
        let names: Vec<&str> = arrived.record.headers.iter().map(|(n, _)| &**n).collect();
        let expected = [
            "odd",
            "ce_id",
            "ce_source",
            "traceparent",
            "correlation_id",
            "odd",
            "aegis_replay_count",
            "aegis_replayed_from",
        ];
        assert_eq!(names, expected);
        assert_eq!(arrived.record.headers[0].1, [0xff, 0x00]);
        assert_eq!(header(arrived, "ce_id"), draft.event_id.to_string());
        assert_eq!(header(arrived, "correlation_id"), "order-17");
        assert_eq!(header(arrived, "aegis_replay_count"), "1");
        assert_eq!(header(arrived, "aegis_replayed_from"), id.to_string());
        let trace = header(arrived, "traceparent");
        assert!(trace.len() == old.len() && trace != old, "{trace}");
    }
    assert_eq!(scene.statuses().await, vec![("replayed".to_owned(), 1); 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_counts_its_lives_on() {
    let scene = Scene::new().await;
    let mut draft = scene.draft("k").lives(2);
    draft.headers.extend([
        ("aegis_replay_count".into(), b"2".to_vec()),
        ("aegis_replayed_from".into(), b"5".to_vec()),
    ]);
    let id = draft.insert(scene.pool()).await;
    scene.replay(Options::default()).await;
    let arrived = scene.arrived().await;
    assert_eq!(header(&arrived[0], "aegis_replay_count"), "3");
    assert_eq!(header(&arrived[0], "aegis_replayed_from"), id.to_string());
    let ours = |(name, _): &&(String, Vec<u8>)| name.starts_with("aegis_");
    assert_eq!(arrived[0].record.headers.iter().filter(ours).count(), 2);
    assert_eq!(scene.statuses().await, [("replayed".to_owned(), 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_each_key_is_the_order_of_the_letters() {
    let scene = Scene::new().await;
    let keys: Vec<String> = (0..250).map(|n| format!("wallet-{}", n % 7)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    scene.letters(&keys).await;
    let ran = scene.json(&["--yes", "dlq", "replay", "--all"]);
    assert_eq!(
        (&ran["replayed"], &ran["status"]),
        (&250.into(), &"done".into())
    );
    let mut last: HashMap<Vec<u8>, i64> = HashMap::new();
    let arrived = scene.arrived().await;
    assert_eq!(arrived.len(), 250);
    for message in &arrived {
        let from: i64 = header(message, "aegis_replayed_from").parse().unwrap();
        let before = last.insert(message.record.key.clone(), from);
        assert!(before.is_none_or(|before| before < from));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_letter_that_fails_none_of_its_key_is_published() {
    let scene = Scene::new().await;
    let mut ids = scene.letters(&["a", "b"]).await;
    // More than the bus takes.
    let large = scene.draft("b").payload(vec![b'x'; 1_100_000]);
    ids.push(large.insert(scene.pool()).await);
    ids.extend(scene.letters(&["b", "a", "", "b"]).await);
    let ran = scene.run(&["--yes", "-o", "json", "dlq", "replay", "--all"]);
    let ran = ran.exits(5).says(&format!("letter {}: ", ids[2]));
    let summary = ran.json();
    assert_eq!(
        (&summary["replayed"], &summary["failed"]),
        (&4.into(), &3.into())
    );
    let failures = summary["failures"].as_array().unwrap();
    let failed: Vec<i64> = failures.iter().map(|f| f["id"].as_i64().unwrap()).collect();
    assert_eq!(failed, [ids[2], ids[3], ids[6]]);
    let held = failures[1]["reason"].as_str().unwrap();
    assert!(
        held.contains(&format!("behind letter {}", ids[2])),
        "{held}"
    );

    let mut replayed: Vec<i64> = scene
        .arrived()
        .await
        .iter()
        .map(|message| header(message, "aegis_replayed_from").parse().unwrap())
        .collect();
    replayed.sort_unstable();
    assert_eq!(replayed, [ids[0], ids[1], ids[4], ids[5]]);
    assert_eq!(scene.count("waiting").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_can_not_be_read_is_refused_by_itself() {
    let scene = Scene::new().await;
    let good = scene.letters(&["a"]).await[0];
    let mut drafts = [0, 1, 2, 3].map(|_| scene.draft("a"));
    drafts[0].raw = Some(b"not a dead letter".to_vec());
    let letter = |topic: &str| {
        format!(
            r#"{{"original_topic":"{topic}","original_message":"%%%","error":"e","retry_count":1,
                "failed_at":"2026-11-23T01:02:03Z","correlation_id":null,
                "original_encoding":"base64"}}"#
        )
    };
    drafts[1].raw = Some(letter(&scene.topic.name).into_bytes());
    drafts[2].raw = Some(letter("another.topic").into_bytes());
    drafts[3].topic = format!("{}.dlq", scene.topic.name);
    let mut bad = Vec::new();
    for draft in &drafts {
        bad.push(draft.insert(scene.pool()).await);
    }
    let ran = scene
        .run(&["--yes", "-o", "json", "dlq", "replay", "--all"])
        .exits(5);
    let summary = ran.json();
    assert_eq!(
        (&summary["replayed"], &summary["left_out_count"]),
        (&1.into(), &4.into())
    );
    for (id, words) in bad.iter().zip([
        "not a dead letter",
        "can't be restored",
        "names the topic",
        "holds dead letters itself",
    ]) {
        let left = summary["left_out"].as_array().unwrap();
        let left = left.iter().find(|left| left["id"] == *id).unwrap();
        assert_eq!(left["code"], "unreadable");
        assert!(left["detail"].as_str().unwrap().contains(words), "{left}");
        assert!(
            ran.stderr.contains(&format!("letter {id} ")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(scene.arrived().await.len(), 1);
    let statuses = scene.statuses().await;
    assert_eq!(statuses[usize::try_from(good).unwrap() - 1].0, "replayed");
    assert_eq!(scene.count("waiting").await, 4);
}
