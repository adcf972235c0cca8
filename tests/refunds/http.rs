//! Refunds over HTTP: routes, codes and repeats.

use std::sync::Arc;

use aegis::api::{ApiState, Limits, Readiness, router};
use aegis::engine::{self, Committer, Engine};
use aegis::refunds::Desk;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tower::ServiceExt as _;

use crate::scene::{AMOUNT, Scene};

struct Api {
    router: Router,
    due: Arc<Notify>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

impl Api {
    fn on(scene: &Scene) -> Self {
        let (due, pool) = (
            Arc::new(Notify::new()),
            scene.database.settings().posting_pool(4),
        );
        let desk = Desk::new(pool, scene.options.clone(), Arc::clone(&due));
        let router = router(state(scene).with_refunds(desk));
        Self { router, due }
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        let request = Request::post(format!("/v1/ledgers/main{path}"))
            .header("content-type", "application/json")
            .header("user-agent", "tests")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(format!("/v1/ledgers/main{path}"));
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

#[tokio::test]
async fn asked_for_it_is_there_and_a_repeat_is_answered_the_same() {
    let scene = Scene::new().await;
    let (api, payment) = (Api::on(&scene), scene.paid("p", AMOUNT).await);
    let path = format!("/payments/{}/refunds", payment.id);
    let wanted = json!({"amount": 40_000, "customer_note": "sorry"});
    let made = api.post(&path, "k", wanted.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["status"], "requested");
    assert_eq!(made.body["amount"], 40_000);
    assert_eq!(made.body["payment"], payment.id.to_string());
    assert_eq!(made.body["customer_note"], "sorry");
    assert_eq!(made.body["correlation_id"], "order-17");
    assert_eq!(made.body["requested_by"], "http: tests");
    // The worker was woken.
    tokio::time::timeout(crate::scene::PATIENCE, api.due.notified())
        .await
        .unwrap();
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(
        made.headers["location"],
        format!("/v1/ledgers/main/refunds/{id}")
    );
    let again = api.post(&path, "k", wanted).await;
    assert_eq!((again.status, &again.body), (201, &made.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = api.post(&path, "k", json!({"amount": 1})).await;
    assert_eq!(other.code(), (422, "idempotency_key_reused"));
    let shown = api.get(&format!("/refunds/{id}")).await;
    assert_eq!((shown.status, &shown.body), (200, &made.body));
    let rest = api.post(&path, "rest", json!({})).await;
    assert_eq!(rest.body["amount"], 60_000);
    let listed = api.get(&format!("{path}?limit=1")).await;
    assert_eq!(listed.status, 200);
    let text = listed.body.to_string();
    assert!(text.contains(rest.body["id"].as_str().unwrap()), "{text}");
    assert!(!text.contains(id), "the newest first: {text}");
    assert_eq!(scene.in_transit().await, AMOUNT);
}

#[tokio::test]
async fn the_examples_of_the_description_are_taken() {
    let scene = Scene::new().await;
    let (api, payment) = (Api::on(&scene), scene.paid("p", 2 * AMOUNT).await);
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let document = api.send(request).await.body;
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    let path = format!("/payments/{}/refunds", payment.id);
    let made = api.post(&path, "k", example("RefundRequest")).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("/refunds/{}/resolve", made.body["id"].as_str().unwrap());
    let decided = api.post(&path, "r", example("RefundResolveRequest")).await;
    assert_eq!(decided.status, 200, "{}", decided.body);
}

#[tokio::test]
async fn each_no_has_its_status_and_code() {
    let scene = Scene::new().await;
    let (api, payment) = (Api::on(&scene), scene.paid("p", AMOUNT).await);
    let unpaid = scene.unpaid("u", AMOUNT).await;
    let path = format!("/payments/{}/refunds", payment.id);
    for (path, body, status, code) in [
        (&path, json!({"amount": 0}), 422, "amount_not_positive"),
        (
            &path,
            json!({"amount": AMOUNT + 1}),
            422,
            "refund_exceeds_payment",
        ),
        (&path, json!({"amount": "1"}), 422, "fields_invalid"),
        (&path, json!({"customer_note": ""}), 422, "fields_invalid"),
        (&path, json!({"note": "x"}), 422, "fields_invalid"),
        (
            &format!("/payments/{}/refunds", unpaid.id),
            json!({}),
            422,
            "payment_not_paid",
        ),
        (
            &"/payments/nothing/refunds".to_owned(),
            json!({}),
            404,
            "payment_not_found",
        ),
        (
            &format!("/refunds/{}/resolve", payment.id),
            json!({"as": "failed", "reason": "x"}),
            404,
            "refund_not_found",
        ),
    ] {
        let answer = api.post(path, "k", body).await;
        assert_eq!(answer.code(), (status, code), "{}", answer.body);
    }
    for (path, code) in [
        (format!("/refunds/{}", payment.id), "refund_not_found"),
        ("/payments/nothing/refunds".to_owned(), "payment_not_found"),
    ] {
        assert_eq!(api.get(&path).await.code(), (404, code));
    }
    assert_eq!(scene.in_transit().await, 0);
}

#[tokio::test]
async fn a_person_decides_once() {
    let scene = Scene::new().await;
    let (api, payment) = (Api::on(&scene), scene.paid("p", AMOUNT).await);
    let refund = scene.sent(&payment, "k", 40_000).await;
    let path = format!("/refunds/{}/resolve", refund.id);
    let word = json!({"as": "failed", "reason": "ticket 4711"});
    let decided = api.post(&path, "r1", word.clone()).await;
    assert_eq!(
        (decided.status, &decided.body["status"]),
        (200, &json!("failed"))
    );
    assert_eq!(decided.body["reason"], "ticket 4711");
    let again = api.post(&path, "r2", word).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = json!({"as": "succeeded", "reason": "ticket 4712"});
    let other = api.post(&path, "r3", other).await;
    assert_eq!(other.code(), (422, "refund_not_open"));
    let wrong = json!({"as": "lost", "reason": "x"});
    assert_eq!(
        api.post(&path, "r4", wrong).await.code(),
        (422, "fields_invalid")
    );
    assert_eq!(scene.in_transit().await, 0);
}

#[tokio::test]
async fn without_a_psp_nothing_is_asked_for() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let api = Api {
        router: router(state(&scene)),
        due: Arc::default(),
    };
    let path = format!("/payments/{}/refunds", payment.id);
    let answer = api.post(&path, "k", json!({})).await;
    assert_eq!(answer.code(), (503, "psp_not_configured"));
}
