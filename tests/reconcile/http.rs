//! Reconciliation over HTTP.

use aegis::api::{ApiState, Limits, Readiness, router};
use aegis::engine::{Committer, Engine, Limits as BatchLimits};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::scene::{HEADER, Scene, payment};

struct Api(Router);

impl Api {
    fn on(scene: &Scene) -> Self {
        let engine = Engine::new(&scene.database.settings(), "aegis.transactions");
        let (committer, _) = Committer::start(engine, BatchLimits::default());
        let (_, reported) = watch::channel(Readiness::default());
        let pool = scene.pool().clone();
        Self(router(ApiState::new(
            committer,
            pool,
            Limits::default(),
            reported,
        )))
    }

    async fn post(&self, who: &str, key: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::post(format!("/v1/ledgers/main{path}"))
            .header("content-type", "application/json")
            .header("user-agent", who)
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(format!("/v1/ledgers/main{path}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }
}

#[tokio::test]
async fn a_statement_is_sent_looked_at_and_its_discrepancy_resolved_by_two() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    let api = Api::on(&scene);
    let line = "settlement,S1,NGN,-4000,0,2026-11-22T15:00:00Z,booked,,";
    let content = format!("{HEADER}{}\n{line}\nbroken\n", payment("a", 10_000));
    let body = json!({"psp": "paystack", "file_name": "s.csv", "content": content});
    let (status, run) = api.post("ann", "k1", "/reconciliations", body).await;
    assert_eq!(status, 201, "{run}");
    assert_eq!((&run["matched"], &run["opened"]), (&json!(1), &json!(1)));
    assert_eq!(run["open"], 1);
    assert_eq!(run["broken_lines"][0]["line"], 4);
    let id = run["id"].as_str().unwrap();
    let (status, shown) = api.get(&format!("/reconciliations/{id}")).await;
    assert_eq!((status, &shown["file_name"]), (200, &json!("s.csv")));
    let (_, page) = api.get("/reconciliations?wallet=psp:paystack").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let (_, page) = api.get("/discrepancies?class=missing_here").await;
    let number = page["items"][0]["id"].as_i64().unwrap();
    let (_, clearing) = api.get("/reconciliations/clearing").await;
    assert_eq!(clearing["explained"], false);
    let path = format!("/discrepancies/{number}");
    let body = json!({"reason": "paid to the bank", "legs": [
        {"wallet": "psp:paystack", "currency": "NGN", "amount": 4_000},
        {"wallet": "bank:main", "currency": "NGN", "amount": -4_000},
    ]});
    let propose = format!("{path}/propose");
    let (status, it) = api.post("ann", "k2", &propose, body).await;
    assert_eq!((status, &it["status"]), (200, &json!("proposed")), "{it}");
    let seen = json!({"proposal_hash": it["proposal"]["hash"]});
    let approve = format!("{path}/approve");
    let (status, it) = api.post("ann", "k3", &approve, seen.clone()).await;
    assert_eq!((status, &it["code"]), (422, &json!("second_person_needed")));
    let (status, it) = api.post("ben", "k4", &approve, seen).await;
    assert_eq!((status, &it["status"]), (200, &json!("resolved")), "{it}");
    let (_, shown) = api.get(&path).await;
    assert_eq!(shown["transaction_id"], it["transaction_id"]);
    let (_, clearing) = api.get("/reconciliations/clearing").await;
    assert_eq!(clearing["explained"], true, "{clearing}");
}

#[tokio::test]
async fn an_approval_is_of_the_proposal_that_was_seen() {
    let scene = Scene::new().await;
    scene.plain(&[&payment("nobody", 5)]).await;
    let api = Api::on(&scene);
    let id = scene.discrepancies().await[0].id;
    let path = format!("/discrepancies/{id}");
    let (propose, approve) = (format!("{path}/propose"), format!("{path}/approve"));
    let hash = |it: &Value| it["proposal"]["hash"].as_str().unwrap().to_owned();
    let (_, it) = api
        .post("ann", "k1", &propose, json!({"reason": "a test of ours"}))
        .await;
    let seen = json!({"proposal_hash": hash(&it)});
    let (_, it) = api
        .post("ann", "k2", &propose, json!({"reason": "another"}))
        .await;
    let (_, shown) = api.get(&path).await;
    assert_eq!(hash(&shown), hash(&it));
    let (status, refused) = api.post("ben", "k3", &approve, json!({})).await;
    assert_eq!(
        (status, &refused["errors"][0]["field"]),
        (422, &json!("proposal_hash")),
        "{refused}"
    );
    let (status, refused) = api.post("ben", "k4", &approve, seen).await;
    assert_eq!(
        (status, &refused["code"]),
        (422, &json!("proposal_changed"))
    );
    let seen = json!({"proposal_hash": hash(&shown)});
    let (status, done) = api.post("ben", "k5", &approve, seen).await;
    assert_eq!((status, &done["status"]), (200, &json!("resolved")));
}

#[tokio::test]
async fn what_can_not_be_taken_is_answered_with_its_code() {
    let scene = Scene::new().await;
    let api = Api::on(&scene);
    let run = "/reconciliations";
    for (body, code) in [
        (
            json!({"psp": "paystack", "content": "a,b\n"}),
            "statement_unusable",
        ),
        (json!({"content": "x"}), "fields_invalid"),
        (
            json!({"psp": "p", "bank": "b", "content": "x"}),
            "fields_invalid",
        ),
        (json!({"psp": "A B", "content": "x"}), "fields_invalid"),
        (
            json!({"psp": "p", "format": "odd", "content": "x"}),
            "fields_invalid",
        ),
        (json!({"psp": "p"}), "fields_invalid"),
    ] {
        let (status, answer) = api.post("ann", "k", run, body).await;
        assert_eq!((status, &answer["code"]), (422, &json!(code)), "{answer}");
    }
    for path in ["/discrepancies/7", "/discrepancies/x"] {
        let (status, answer) = api.get(path).await;
        assert_eq!(
            (status, &answer["code"]),
            (404, &json!("discrepancy_not_found"))
        );
    }
    let (status, answer) = api.get("/reconciliations/x").await;
    assert_eq!(
        (status, &answer["code"]),
        (404, &json!("reconciliation_not_found"))
    );
    let (status, _) = api.get("/discrepancies?status=odd").await;
    assert_eq!(status, 422);
}
