//! Runs over HTTP: started, approved and gone on with in the real `aegisd`, which pays them.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use crate::scene::{KEY, PATIENCE, Scene, counts, not_at_midnight, start};
use crate::shared::daemon::{Daemon, Settings};

fn settings(scene: &Scene) -> Settings {
    Settings::new(scene.database.url())
        .with("PAYSTACK_SECRET_KEY", KEY)
        .with("PAYSTACK_BASE_URL", &scene.simulator.base_url())
        .with("PAYSTACK_TIMEOUT_MS", "60000")
        .with("PAYOUTS_POLL_MS", "20")
        .with("PAYOUTS_SETTLING_MS", "100")
        .with("PAYOUTS_ASK_EVERY_MS", "100")
        .with("BACKOFF_FIRST_MS", "20")
        .with("PAYOUT_RUN_CALLS_PER_SECOND", "10000")
}

struct Caller<'a> {
    daemon: &'a Daemon,
    name: &'static str,
    http: reqwest::Client,
}

impl<'a> Caller<'a> {
    fn new(daemon: &'a Daemon, name: &'static str) -> Self {
        let http = reqwest::Client::builder().user_agent(name).no_proxy();
        let http = http.build().unwrap();
        Self { daemon, name, http }
    }

    fn url(&self, path: &str) -> String {
        format!(
            "http://{}/v1/ledgers/main/payout-runs{path}",
            self.daemon.address
        )
    }

    async fn send(&self, path: &str, key: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self
            .http
            .post(self.url(path))
            .header("idempotency-key", format!("{}-{key}", self.name))
            .header("content-type", "application/json")
            .body(body.to_string());
        request.send().await
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> (u16, Value, bool) {
        let answer = self.send(path, key, &body).await.unwrap();
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
            replayed,
        )
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
        )
    }

    async fn until_finished(&self, run: &str) -> Value {
        let began = Instant::now();
        loop {
            let (status, found) = self.get(&format!("/{run}")).await;
            assert_eq!(status, 200, "{found}");
            if found["status"] == "finished" {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn list(key: &str, merchants: &[String], amount: i64) -> Value {
    let items: Vec<Value> = merchants
        .iter()
        .map(|merchant| json!({"merchant": merchant, "amount": amount}))
        .collect();
    json!({"key": key, "currency": "NGN", "items": items})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_posted_is_paid_in_the_background() {
    let scene = Scene::new().await;
    let merchants = scene.merchants(4, 50_000).await;
    let daemon = settings(&scene).start().await;
    let caller = Caller::new(&daemon, "ann");
    let body = list("a", &merchants, 20_000);
    let (status, run, replayed) = caller.post("", "1", body.clone()).await;
    assert_eq!((status, replayed), (201, false), "{run}");
    assert_eq!(run["started_by"], "http: ann");
    let run = caller.until_finished("a").await;
    assert_eq!(counts(&run), [4, 4, 0, 0, 0]);
    // The same list under the same key is the run, another one is refused.
    let (status, again, replayed) = caller.post("", "2", body).await;
    assert_eq!((status, replayed), (201, true));
    assert_eq!(again, run);
    let (status, refused, _) = caller.post("", "3", list("a", &merchants, 20_001)).await;
    assert_eq!(
        (status, &refused["code"]),
        (422, &"payout_run_key_reused".into())
    );
    let hash = run["list_hash"].as_str().unwrap();
    assert!(refused["detail"].as_str().unwrap().contains(hash));
    let (_, page) = caller.get("/a/items?limit=3").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let next = page["next"].as_str().unwrap();
    let (_, page) = caller.get(&format!("/a/items?after={next}")).await;
    assert_eq!(page["items"][0]["merchant"], "m4");
    let (_, page) = caller.get("?status=finished").await;
    assert_eq!(page["items"][0]["key"], "a");
    assert_eq!(scene.transfers(), (4, 80_000));
    scene.assert_paid_once().await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_description_are_taken() {
    let scene = Scene::new().await;
    scene.merchant("acme", 2_000_000).await;
    let limit = ("PAYOUT_RUN_APPROVAL_ABOVE_MINOR", "1");
    let daemon = settings(&scene).with(limit.0, limit.1).start().await;
    let (ann, eve) = (Caller::new(&daemon, "ann"), Caller::new(&daemon, "eve"));
    let url = format!("http://{}/openapi.json", daemon.address);
    let text = ann
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    let request = example("PayoutRunRequest");
    let key = request["key"].as_str().unwrap().to_owned();
    assert_eq!(ann.post("", "1", request.clone()).await.0, 201);
    let decision = example("PayoutRunDecisionRequest");
    for (n, deed) in ["approve", "resume"].into_iter().enumerate() {
        let path = format!("/{key}/{deed}");
        let (status, answer, _) = eve.post(&path, &n.to_string(), decision.clone()).await;
        assert_eq!(status, 200, "{answer}");
    }
    ann.until_finished(&key).await;
    let mut other = request;
    other["key"] = "other".into();
    assert_eq!(ann.post("", "2", other).await.0, 201);
    let reason = example("PayoutRunCancelRequest");
    let (status, answer, _) = ann.post("/other/cancel", "3", reason).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_it_waits_for_another_caller() {
    let scene = Scene::new().await;
    let merchants = scene.merchants(2, 50_000).await;
    let limit = ("PAYOUT_RUN_APPROVAL_ABOVE_COUNT", "1");
    let daemon = settings(&scene).with(limit.0, limit.1).start().await;
    let (ann, eve) = (Caller::new(&daemon, "ann"), Caller::new(&daemon, "eve"));
    let (_, run, _) = ann.post("", "1", list("a", &merchants, 20_000)).await;
    assert_eq!(run["status"], "waiting");
    let (status, refused, _) = ann.post("/a/resume", "2", json!({})).await;
    assert_eq!((status, &refused["code"]), (422, &"approval_needed".into()));
    let (status, refused, _) = ann.post("/a/approve", "3", json!({})).await;
    assert_eq!(
        (status, &refused["code"]),
        (422, &"approver_is_starter".into())
    );
    assert_eq!(scene.transfers().0, 0);
    let (status, approved, _) = eve.post("/a/approve", "1", json!({})).await;
    assert_eq!(status, 200, "{approved}");
    assert_eq!(approved["approved_by"], "http: eve");
    let run = ann.until_finished("a").await;
    assert_eq!(counts(&run), [2, 2, 0, 0, 0]);
    let (status, _, replayed) = eve.post("/a/approve", "2", json!({})).await;
    assert_eq!((status, replayed), (200, true));
    let (_, run, _) = ann.post("", "4", list("b", &merchants, 10_000)).await;
    assert_eq!(run["status"], "waiting");
    let (status, run, _) = ann.post("/b/cancel", "5", json!({"reason": "wrong"})).await;
    assert_eq!((status, &run["status"]), (200, &"cancelled".into()));
    let (status, refused, _) = eve.post("/b/approve", "3", json!({})).await;
    assert_eq!(
        (status, &refused["code"]),
        (422, &"payout_run_cancelled".into())
    );
    let (status, _) = ann.get("/nobody").await;
    assert_eq!(status, 404);
    let (status, missing, _) = ann.post("/nobody/resume", "6", json!({})).await;
    assert_eq!(
        (status, &missing["code"]),
        (404, &"payout_run_not_found".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_items_is_named_item_by_item() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let daemon = settings(&scene).start().await;
    let caller = Caller::new(&daemon, "ann");
    let item = |merchant: &str, amount: i64| json!({"merchant": merchant, "amount": amount});
    for (n, (items, code, fields)) in [
        (vec![], "list_empty", vec!["items[0].merchant"]),
        (
            vec![item("acme", 0)],
            "amount_not_positive",
            vec!["items[0].amount"],
        ),
        (
            vec![item("acme", 1_000), item("acme", 2_000)],
            "merchant_repeated",
            vec!["items[1].merchant"],
        ),
        (
            vec![item("acme", 1_000), item("nobody", 1_000)],
            "merchant_not_found",
            vec!["items[1].merchant"],
        ),
        (
            vec![item("acme", 1), item("nobody", 1_000)],
            "fields_invalid",
            vec!["items[0].amount", "items[1].merchant"],
        ),
        (
            vec![json!({"merchant": "acme"})],
            "fields_invalid",
            vec!["items[0].amount"],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"key": "a", "currency": "NGN", "items": items});
        let (status, problem, _) = caller.post("", &n.to_string(), body).await;
        assert_eq!(
            (status, problem["code"].as_str().unwrap()),
            (422, code),
            "{problem}"
        );
        let errors = problem["errors"].as_array().unwrap();
        let named: Vec<&str> = errors
            .iter()
            .map(|e| e["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{problem}");
    }
    for (n, body) in [
        json!({"key": "a"}),
        json!({"key": "a", "items": [item("acme", 1_000)]}),
        json!({"key": "a", "due": true, "items": [item("acme", 1_000)], "currency": "NGN"}),
        json!({"key": "a b", "due": true}),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, problem, _) = caller.post("", &format!("u{n}"), body).await;
        assert_eq!(
            (status, &problem["code"]),
            (422, &"fields_invalid".into()),
            "{problem}"
        );
    }
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 0);
    // What is due is paid, and then nothing is until the next day.
    not_at_midnight().await;
    let (status, run, _) = caller
        .post("", "due", json!({"key": "a", "due": true}))
        .await;
    assert_eq!((status, &run["total"]), (201, &50_000.into()), "{run}");
    caller.until_finished("a").await;
    let (status, nothing, _) = caller
        .post("", "due2", json!({"key": "b", "due": true}))
        .await;
    assert_eq!((status, &nothing["code"]), (422, &"nothing_due".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_goes_on_with_its_runs_and_one_the_tool_began_is_ended() {
    let scene = Scene::new().await;
    let merchants = scene.merchants(8, 90_000).await;
    let mut doomed = settings(&scene)
        .with("AEGIS_FAILPOINTS", "payout_run.requested=kill@4")
        .start()
        .await;
    let caller = Caller::new(&doomed, "ann");
    // It may be killed before it has answered.
    let body = list("a", &merchants, 20_000);
    drop(caller.send("", "1", &body).await);
    assert_eq!(doomed.ended().await.code(), None, "it was killed");
    // The tool's run is killed too, and nobody has aegisd go on with it.
    let file = scene.list(&merchants, 10_000);
    let kill = [("AEGIS_FAILPOINTS", "payout_run.requested=kill@4")];
    assert_eq!(scene.run_with(&start("b", &file), &kill).code, None);
    scene.expire_leases().await;
    let daemon = settings(&scene).start().await;
    let caller = Caller::new(&daemon, "ann");
    let run = caller.until_finished("a").await;
    assert_eq!(counts(&run), [8, 8, 0, 0, 0]);
    let (_, run) = caller.get("/b").await;
    assert_eq!(run["status"], "running");
    assert!(run["waiting"].as_i64().unwrap() > 0, "{run}");
    let (status, _, _) = caller.post("/b/resume", "2", json!({})).await;
    assert_eq!(status, 200);
    let run = caller.until_finished("b").await;
    assert_eq!(counts(&run), [8, 8, 0, 0, 0]);
    assert_eq!(scene.transfers(), (16, 240_000));
    scene.assert_paid_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_tool_left_with_payouts_on_their_way_is_ended_by_aegisd() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(3, 50_000).await, 20_000);
    let hasty = [
        ("PAYOUT_RUN_PATIENCE_MS", "0"),
        ("BACKOFF_FIRST_MS", "600000"),
    ];
    let run = scene.run_with(&start("a", &file), &hasty).exits(5).json();
    assert_eq!(counts(&run), [3, 0, 0, 0, 3]);
    scene.expire_leases().await;
    let daemon = settings(&scene).start().await;
    let run = Caller::new(&daemon, "ann").until_finished("a").await;
    assert_eq!(counts(&run), [3, 3, 0, 0, 0]);
    assert!(run["finished_at"].is_string(), "{run}");
}
