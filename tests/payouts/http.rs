//! Payouts over HTTP: routes, codes and repeats.

use aegis::api::{ApiState, Limits, Readiness, router};
use aegis::engine::{self, Committer, Engine};
use aegis::payouts::{Dispatch, Pace};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::scene::{FUNDS, Scene};

struct Api {
    router: Router,
    dispatch: Dispatch<aegis::psp::Paystack>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Api {
    fn on(scene: &Scene) -> Self {
        let settings = scene.database.settings();
        let pace = Pace {
            calls_max: 4,
            poll: Duration::from_millis(20),
        };
        let (pool, options) = (settings.posting_pool(6), scene.options.clone());
        let dispatch = Dispatch::new(pool, options, scene.psp.clone(), pace);
        let router = router(state(scene).with_dispatch(dispatch.clone()));
        Self { router, dispatch }
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        let request = Request::post(format!("/v1/ledgers/main/payouts{path}"))
            .header("content-type", "application/json")
            .header("user-agent", "tests")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(format!("/v1/ledgers/main/payouts{path}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }
}

fn state(scene: &Scene) -> ApiState {
    let engine = Engine::new(&scene.database.settings(), "aegis.transactions");
    let (committer, _) = Committer::start(engine, engine::Limits::default());
    let (_, reported) = watch::channel(Readiness::default());
    ApiState::new(committer, scene.pool().clone(), Limits::default(), reported)
}

fn asked() -> Value {
    json!({"merchant": "acme", "amount": 90_000, "currency": "NGN", "reference": "november"})
}

#[tokio::test]
async fn asked_for_it_is_there_and_a_repeat_is_answered_the_same() {
    let scene = Scene::new().await;
    let api = Api::on(&scene);
    let made = api.post("", "k", asked()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(
        made.headers["location"],
        format!("/v1/ledgers/main/payouts/{id}")
    );
    assert_eq!(made.body["reference"], made.body["id"]);
    assert_eq!(made.body["label"], "november");
    assert_eq!(made.body["status"], "requested");
    assert_eq!(made.body["requested_by"], "http: tests");
    let again = api.post("", "k", asked()).await;
    assert_eq!((again.status, &again.body), (201, &made.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = json!({"merchant": "acme", "amount": 90_001, "currency": "NGN"});
    let reused = api.post("", "k", other).await;
    assert_eq!(
        (reused.status, &reused.body["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    let shown = api.get(&format!("/{id}")).await;
    assert_eq!((shown.status, &shown.body["calls"]), (200, &json!([])));
    let page = api.get("?merchant=acme&status=requested").await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(api.get("?status=sent").await.body["items"], json!([]));
}

#[tokio::test]
async fn each_no_has_its_status_and_code() {
    let scene = Scene::new().await;
    let api = Api::on(&scene);
    let with = |field: &str, value: Value| {
        let mut body = asked();
        body[field] = value;
        body
    };
    for (body, code) in [
        (with("amount", json!(0)), "amount_not_positive"),
        (with("amount", json!(FUNDS + 1)), "insufficient_funds"),
        (with("amount", json!(1)), "amount_below_minimum"),
        (with("merchant", json!("nobody")), "merchant_not_found"),
        (with("currency", json!("GHS")), "currency_not_agreed"),
        (with("merchant", json!("A B")), "fields_invalid"),
        (with("currency", json!("XXX1")), "currency_unknown"),
        (with("unknown", json!(1)), "fields_invalid"),
        (with("reference", json!("a\nb")), "fields_invalid"),
    ] {
        let no = api.post("", "k", body.clone()).await;
        assert_eq!((no.status, &no.body["code"]), (422, &json!(code)), "{body}");
    }
    for (path, status, code) in [
        ("/not-an-id", 404, "payout_not_found"),
        (
            "/0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f",
            404,
            "payout_not_found",
        ),
        ("?status=gone", 422, "fields_invalid"),
    ] {
        let no = api.get(path).await;
        assert_eq!(
            (no.status, &no.body["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_requery_sends_and_asks_and_a_word_ends_it_once() {
    let scene = Scene::new().await;
    let api = Api::on(&scene);
    let id = api.post("", "k", asked()).await.body["id"].clone();
    let path = |verb: &str| format!("/{}/{verb}", id.as_str().unwrap());
    let asked = api.post(&path("requery"), "q1", json!({})).await;
    assert_eq!(
        (asked.status, &asked.body["status"]),
        (200, &json!("requested"))
    );
    let word = json!({"as": "succeeded", "reason": "the bank says so"});
    let early = api.post(&path("resolve"), "r1", word.clone()).await;
    assert_eq!(
        (early.status, &early.body["code"]),
        (422, &json!("payout_not_sent"))
    );
    let bad = api
        .post(&path("resolve"), "r2", json!({"as": "gone"}))
        .await;
    assert_eq!(
        bad.body["errors"].as_array().unwrap().len(),
        2,
        "{}",
        bad.body
    );
    scene.set_now(time::OffsetDateTime::now_utc() + time::Duration::seconds(1));
    scene.advance(id.as_str().unwrap().parse().unwrap()).await;
    let done = api.post(&path("resolve"), "r3", word.clone()).await;
    assert_eq!(
        (done.status, &done.body["status"]),
        (200, &json!("succeeded"))
    );
    assert_eq!(done.body["resolved_by"], "http: tests");
    let again = api.post(&path("resolve"), "r4", word).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = json!({"as": "failed", "reason": "no"});
    let late = api.post(&path("resolve"), "r5", other).await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (422, &json!("payout_not_open"))
    );
    let shown = api.get(&format!("/{}", id.as_str().unwrap())).await;
    let kinds: Vec<&Value> = shown.body["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["kind"])
        .collect();
    assert_eq!(kinds, ["send", "ask"]);
}

#[tokio::test]
async fn without_a_psp_nothing_is_asked_for() {
    let scene = Scene::new().await;
    let api = Api {
        router: router(state(&scene)),
        ..Api::on(&scene)
    };
    let no = api.post("", "k", asked()).await;
    assert_eq!(
        (no.status, &no.body["code"]),
        (503, &json!("psp_not_configured"))
    );
    assert_eq!(api.get("").await.status, 200, "reading needs none");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_takes_what_is_asked_for_and_stops_when_told() {
    let scene = Scene::new().await;
    let api = Api::on(&scene);
    let stop = tokio_util::sync::CancellationToken::new();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (dispatch, stop) = (api.dispatch.clone(), stop.clone());
            tokio::spawn(async move { dispatch.run(stop).await })
        })
        .collect();
    let mut ids = Vec::new();
    for n in 0..12 {
        let made = api.post("", &format!("k{n}"), asked_for(10_000)).await;
        ids.push(made.body["id"].as_str().unwrap().to_owned());
    }
    let began = std::time::Instant::now();
    for id in &ids {
        while api.get(&format!("/{id}")).await.body["status"] != "sent" {
            assert!(began.elapsed() < crate::scene::PATIENCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(scene.transfers(), 12);
    scene.assert_transit().await;
}

fn asked_for(amount: i64) -> Value {
    json!({"merchant": "acme", "amount": amount, "currency": "NGN"})
}

#[tokio::test]
async fn the_examples_of_the_description_are_taken() {
    let scene = Scene::new().await;
    let api = Api::on(&scene);
    scene.fund_more(100_000_000).await;
    let document = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let document = api.send(document).await.body;
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    let made = api.post("", "k", example("PayoutRequest")).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().unwrap();
    for (verb, name) in [
        ("requery", "PayoutRequeryRequest"),
        ("resolve", "PayoutResolveRequest"),
    ] {
        let done = api
            .post(&format!("/{id}/{verb}"), verb, example(name))
            .await;
        assert_eq!(done.status, 200, "{verb}: {}", done.body);
    }
}
