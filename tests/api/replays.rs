//! Replays over HTTP: planned, begun, looked at, cancelled.

use std::time::{Duration, Instant};

use aegis::bus::Delivery;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::dead_letters::{insert, letter};
use crate::support::TestApi;

const PATH: &str = "/v1/dead-letters/replays";

/// Takes what goes to `orders`; a delivery waits until it is taken out and acknowledged.
fn consumer(api: &TestApi) -> mpsc::UnboundedReceiver<Delivery> {
    let mut inbox = api.bus.subscribe("consumer", &["orders"]).unwrap();
    let (take, taken) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(delivery) = inbox.recv().await {
            let _ = take.send(delivery);
        }
    });
    taken
}

/// Waits until a replay has ended.
async fn ended(api: &TestApi, id: &Value) -> Value {
    let began = Instant::now();
    loop {
        let run = api.get(&format!("{PATH}/{id}")).await.body;
        if run["status"] != "running" {
            return run;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{run}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_by_itself_and_is_looked_at_by_its_number() {
    let api = TestApi::new().await;
    let mut arriving = consumer(&api);
    for _ in 0..2 {
        letter(&api, "main").await;
    }
    let begun = api.post(PATH, "r", json!({"topic": "orders"})).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    let run = &begun.body["run"];
    assert_eq!(
        (&run["status"], &run["total"]),
        (&json!("running"), &json!(2))
    );
    assert_eq!(begun.header("location"), format!("{PATH}/{}", run["id"]));
    assert_eq!(begun.body["plan"]["groups"][0]["error_code"], "timeout");
    // The same request again is the same replay, while it runs and when it has ended.
    let again = api.post(PATH, "r", json!({"topic": "orders"})).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["run"]["id"]),
        (202, &run["id"])
    );
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = api.post(PATH, "r", json!({"all": true})).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (422, "idempotency_key_reused")
    );

    for number in ["1", "2"] {
        let delivery = arriving.recv().await.unwrap();
        let mut headers = delivery.record.headers.iter();
        let (_, from) = headers
            .find(|(name, _)| name == "aegis_replayed_from")
            .unwrap();
        assert_eq!(from, number.as_bytes(), "in the order of the key");
        delivery.ack();
    }
    let ended = ended(&api, &run["id"]).await;
    assert_eq!(
        (&ended["status"], &ended["replayed"]),
        (&json!("done"), &json!(2))
    );
    assert_eq!(ended["ending"], "done");
    let again = api.post(PATH, "r", json!({"topic": "orders"})).await;
    assert_eq!(again.body["run"]["id"], run["id"]);
    let list = api.get(PATH).await.body;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let shown = api.get("/v1/dead-letters/1").await.body;
    assert_eq!(
        (&shown["status"], &shown["replay_count"]),
        (&json!("replayed"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replay_a_topic_at_a_time_until_it_is_cancelled() {
    let api = TestApi::new().await;
    let mut arriving = consumer(&api);
    for _ in 0..3 {
        letter(&api, "main").await;
    }
    let begun = api.post(PATH, "a", json!({"all": true, "rate": 1})).await;
    let id = begun.body["run"]["id"].clone();
    let held = arriving.recv().await.unwrap();
    let busy = api.post(PATH, "b", json!({"all": true})).await;
    assert_eq!(
        (busy.status.as_u16(), busy.code()),
        (409, "replay_running"),
        "{}",
        busy.body
    );
    let discard = api
        .post("/v1/dead-letters/3/discard", "c", json!({"reason": "x"}))
        .await;
    assert_eq!(
        (discard.status.as_u16(), discard.code()),
        (409, "replay_running")
    );

    let cancel = format!("{PATH}/{id}/cancel");
    let asked = api.post(&cancel, "d", json!({"reason": "not yet"})).await;
    assert_eq!(
        (asked.status.as_u16(), &asked.body["cancel_requested"]),
        (200, &json!(true))
    );
    assert_eq!(asked.header("idempotent-replayed"), "");
    let repeat = api.post(&cancel, "d", json!({"reason": "not yet"})).await;
    assert_eq!(repeat.header("idempotent-replayed"), "true");
    held.ack();
    let ended = ended(&api, &id).await;
    assert_eq!(
        (&ended["status"], &ended["replayed"]),
        (&json!("cancelled"), &json!(1))
    );
    let waiting = api.get("/v1/dead-letters").await.body;
    assert_eq!(
        waiting["items"].as_array().unwrap().len(),
        2,
        "the rest waits"
    );
}

#[tokio::test]
async fn a_dry_run_and_nothing_to_do_begin_nothing() {
    let api = TestApi::new().await;
    let nothing = api.post(PATH, "a", json!({"all": true})).await;
    assert_eq!(
        (nothing.status.as_u16(), &nothing.body["run"]),
        (200, &Value::Null)
    );
    letter(&api, "main").await;
    insert(&api, "main", "not a dead letter".to_owned()).await;
    let plan = api
        .post(PATH, "b", json!({"ids": [1, 2], "dry_run": true}))
        .await;
    assert_eq!(
        (plan.status.as_u16(), &plan.body["run"]),
        (200, &Value::Null)
    );
    let plan = &plan.body["plan"];
    assert_eq!(
        (&plan["total"], &plan["left_out"][0]["code"]),
        (&json!(1), &json!("unreadable"))
    );
    assert_eq!(api.get(PATH).await.body["items"], json!([]));
    assert_eq!(
        api.get("/v1/dead-letters/1").await.body["status"],
        "waiting"
    );
}

#[tokio::test]
async fn a_replay_that_would_reach_nobody_is_not_begun() {
    let api = TestApi::new().await;
    letter(&api, "main").await;
    let answer = api.post(PATH, "a", json!({"all": true})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "bus_unavailable")
    );
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("nobody listens to orders")
    );
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(
        api.get("/v1/dead-letters/1").await.body["status"],
        "waiting"
    );
}

#[tokio::test]
async fn a_selection_says_which_letters_and_nothing_else() {
    let api = TestApi::new().await;
    for (body, field) in [
        (json!({}), "ids"),
        (json!({"limit": 5}), "ids"),
        (json!({"all": false}), "ids"),
        (json!({"ids": [1], "all": true}), "ids"),
        (json!({"ids": [1], "topic": "t"}), "ids"),
        (json!({"ids": []}), "ids"),
        (json!({"ids": 1}), "ids"),
        (json!({"ids": ["1"]}), "ids"),
        (json!({"ids": vec![1; 10_001]}), "ids"),
        (json!({"all": "yes"}), "all"),
        (json!({"all": true, "limit": 0}), "limit"),
        (json!({"all": true, "limit": -1}), "limit"),
        (json!({"all": true, "rate": 0}), "rate"),
        (json!({"all": true, "rate": 1.5}), "rate"),
        (json!({"all": true, "rate": "50/s"}), "rate"),
        (json!({"all": true, "since": "yesterday"}), "since"),
        (json!({"topic": ""}), "topic"),
        (json!({"error": "a\u{0}"}), "error"),
        (
            json!({"all": true, "last_letter_id": "x"}),
            "last_letter_id",
        ),
        (json!({"all": true, "dryrun": true}), "dryrun"),
    ] {
        let answer = api.post(PATH, "k", body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "fields_invalid"),
            "{body}"
        );
        assert_eq!(answer.fields(), [field], "{body}");
    }
    let unknown = api.post(PATH, "k", json!({"ids": [7, 8]})).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code()),
        (404, "dead_letter_not_found")
    );
    assert!(unknown.body["detail"].as_str().unwrap().contains("7, 8"));
}
