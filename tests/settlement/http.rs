//! Settlements over HTTP.

use aegis::api::{ApiState, Limits, Readiness, router};
use aegis::engine::{self, Committer, Engine};
use aegis::settlement::Settler;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::common::merchant::merchant;
use crate::common::payment;
use crate::scene::{PLAIN, Scene, options, with};

const DAY: OffsetDateTime = datetime!(2026-01-20 12:00 UTC);

struct Api(Router);

impl Api {
    fn on(scene: &Scene) -> Self {
        let engine = Engine::new(&scene.database.settings(), "aegis.transactions");
        let (committer, _) = Committer::start(engine, engine::Limits::default());
        let (_, reported) = watch::channel(Readiness::default());
        let pool = scene.database.pool().clone();
        let settler = Settler::new(scene.pool.clone(), options());
        let state =
            ApiState::new(committer, pool, Limits::default(), reported).with_settler(settler);
        Self(router(state))
    }

    async fn run(&self, key: &str, body: Value) -> (u16, Value) {
        let request = Request::post("/v1/ledgers/main/settlements")
            .header("content-type", "application/json")
            .header("user-agent", "tests")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(format!("/v1/ledgers/main/settlements{path}"));
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
async fn what_is_due_is_seen_settled_listed_and_shown() {
    let scene = Scene::new(&with(r#""reserve": {"basis_points": 1000, "days": 3650}"#)).await;
    scene.paid(70_000, DAY).await;
    let api = Api::on(&scene);
    let (status, seen) = api.get("/preview").await;
    assert_eq!(status, 200, "{seen}");
    assert_eq!(seen["periods"][0]["released"], 63_000);
    assert_eq!(seen["more"], false);
    assert_eq!(scene.balance("available").await, 0, "nothing is done");

    let (status, ran) = api.run("k1", json!({})).await;
    assert_eq!(status, 200, "{ran}");
    let one = &ran["settled"][0];
    assert_eq!(
        (&one["reserved"], &one["released"]),
        (&json!(7_000), &json!(63_000))
    );
    assert_eq!(one["settled_by"], "http: tests");
    assert_eq!(ran["left"], json!({"periods": 0, "reserves": 0}));
    assert_eq!(scene.purses().await, [0, 63_000, 7_000, 0]);
    let (_, again) = api.run("k2", json!({})).await;
    assert_eq!(
        (&again["settled"], &again["failed"]),
        (&json!([]), &json!([]))
    );

    let id = one["id"].as_str().unwrap();
    let (status, shown) = api.get(&format!("/{id}")).await;
    assert_eq!((status, &shown), (200, one));
    assert_eq!(shown["reserves"][0]["released_at"], Value::Null);
    let (_, listed) = api.get("?merchant=acme&currency=NGN").await;
    assert_eq!(&listed["items"][0], one);
    assert_eq!(api.get("?currency=KES").await.1["items"], json!([]));
}

#[tokio::test]
async fn only_what_is_asked_for_is_settled() {
    let scene = Scene::new(PLAIN).await;
    merchant(&scene.pool, &scene.ledger, "bolt", "NGN", PLAIN).await;
    for day in 0..2 {
        scene.paid(10, DAY + Duration::days(day)).await;
    }
    payment::paid(&scene.pool, &scene.ledger, "bolt", "NGN", 9, DAY).await;
    let api = Api::on(&scene);
    // The payment of the 20th matures as the 21st begins, which is when the 20th ends.
    let (_, none) = api.run("k1", json!({"date": "2026-01-19"})).await;
    assert_eq!(none["settled"], json!([]));
    let body = json!({"merchant": "acme", "date": "2026-01-20"});
    let (_, ran) = api.run("k2", body).await;
    assert_eq!(ran["settled"].as_array().unwrap().len(), 1, "{ran}");
    assert_eq!(ran["settled"][0]["period"], "2026-01-20");
    assert_eq!(ran["left"]["periods"], 0, "of what was asked for");
    let (_, rest) = api.get("/preview?date=2026-01-20").await;
    assert_eq!(rest["periods"].as_array().unwrap().len(), 1);
    assert_eq!(rest["periods"][0]["merchant"], "bolt");
    let (_, page) = api.run("k3", json!({})).await;
    assert_eq!(page["settled"].as_array().unwrap().len(), 2);
    let (_, first) = api.get("?limit=2").await;
    let next = first["next"].as_str().unwrap();
    let (_, second) = api.get(&format!("?limit=2&after={next}")).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["items"][0]["period"], "2026-01-20");
}

#[tokio::test]
async fn a_request_does_a_bounded_part_says_what_is_left_and_the_next_goes_on() {
    let scene = Scene::new(PLAIN).await;
    for day in 0..205 {
        scene.paid(10, DAY - Duration::days(day)).await;
    }
    let api = Api::on(&scene);
    let (status, ran) = api.run("k", json!({})).await;
    assert_eq!(status, 200, "{ran}");
    assert_eq!(ran["settled"].as_array().unwrap().len(), 200);
    assert_eq!(ran["left"]["periods"], 5);
    let (_, rest) = api.run("k", json!({})).await;
    assert_eq!(rest["settled"].as_array().unwrap().len(), 5);
    assert_eq!(rest["left"]["periods"], 0);
    assert_eq!(scene.purses().await, [0, 2_050, 0, 0]);
}

#[tokio::test]
async fn what_fails_is_said_and_holds_up_nothing_else() {
    let scene = Scene::new(PLAIN).await;
    merchant(&scene.pool, &scene.ledger, "bolt", "NGN", PLAIN).await;
    scene.paid(70, DAY).await;
    payment::paid(&scene.pool, &scene.ledger, "bolt", "NGN", 9, DAY).await;
    sqlx::query("UPDATE wallets SET status = 'frozen' WHERE address = 'merchant:acme:available'")
        .execute(&scene.pool)
        .await
        .unwrap();
    let (status, ran) = Api::on(&scene).run("k", json!({})).await;
    assert_eq!(status, 200, "{ran}");
    assert_eq!(ran["settled"][0]["merchant"], "bolt");
    assert_eq!(ran["failed"][0]["merchant"], "acme");
    assert_eq!(ran["failed"][0]["what"], "period 2026-01-20");
    assert_eq!(ran["left"]["periods"], 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let scene = Scene::new(PLAIN).await;
    let api = Api::on(&scene);
    let fields = |answer: &Value| -> Vec<String> {
        let errors = answer["errors"].as_array().into_iter().flatten();
        errors
            .map(|e| e["field"].as_str().unwrap().to_owned())
            .collect()
    };
    for (body, named) in [
        (json!({"date": "2999-01-01"}), "date"),
        (json!({"date": "tomorrow"}), "date"),
        (json!({"date": 20_260_101}), "date"),
        (json!({"merchant": "No Such"}), "merchant"),
        (json!({"until": "2026-01-01"}), "until"),
    ] {
        let (status, answer) = api.run("k", body.clone()).await;
        assert_eq!(status, 422, "{body}: {answer}");
        assert_eq!(fields(&answer), [named], "{body}: {answer}");
    }
    for (query, named) in [
        ("/preview?date=2999-01-01", "date"),
        ("/preview?date=1", "date"),
        ("/preview?limit=3", "limit"),
        ("?merchant=No%20Such", "merchant"),
        ("?currency=ngn", "currency"),
        ("?after=x", "after"),
    ] {
        let (status, answer) = api.get(query).await;
        assert_eq!(
            (status, fields(&answer)),
            (422, vec![named.to_owned()]),
            "{query}"
        );
    }
    let code = |answer: &(u16, Value)| (answer.0, answer.1["code"].as_str().unwrap().to_owned());
    let nobody = api.run("k", json!({"merchant": "nobody"})).await;
    assert_eq!(code(&nobody), (422, "merchant_not_found".to_owned()));
    let nobody = api.get("/preview?merchant=nobody").await;
    assert_eq!(code(&nobody), (422, "merchant_not_found".to_owned()));
    for id in ["00000000-0000-7000-8000-000000000000", "x"] {
        let none = api.get(&format!("/{id}")).await;
        assert_eq!(code(&none), (404, "settlement_not_found".to_owned()));
    }
}
