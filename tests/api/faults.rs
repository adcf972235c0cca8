//! What callers are told when something behind the API is away or slow.

use std::time::{Duration, Instant};

use aegis::api::{ApiState, Check, Limits, Readiness, router};
use aegis::engine::{self, Committer, Engine};
use aegis::postgres::Settings;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::support::{TestApi, json_request};

const TRANSFERS: &str = "/v1/ledgers/main/transfers";

fn transfer() -> Value {
    json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5})
}

#[tokio::test]
async fn readiness_is_the_worst_of_its_checks() {
    let api = TestApi::new().await;
    let ready = api.get("/readyz").await;
    assert_eq!(
        ready.body,
        json!({"status": "ok", "checks": [{"name": "database", "status": "ok"}], "breakers": []})
    );
    api.readiness.send_replace(Readiness::new(vec![
        Check::ok("kafka"),
        Check::degraded("redis", "no answer"),
    ]));
    let ready = api.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.body["status"]),
        (200, &json!("degraded"))
    );
    let redis = json!({"name": "redis", "status": "degraded", "detail": "no answer"});
    assert_eq!(ready.body["checks"][2], redis);
    api.readiness
        .send_replace(Readiness::new(vec![Check::failed("relay", "ended")]));
    let ready = api.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.body["status"]),
        (503, &json!("failed"))
    );
    assert_eq!(api.get("/livez").await.body, json!({"status": "ok"}));
}

/// A database that nobody serves.
fn nowhere() -> Settings {
    let mut settings = Settings::from_url("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    settings.connect_timeout = Duration::from_millis(200);
    settings
}

/// The API over it.
fn without_database() -> Router {
    let settings = nowhere();
    let engine = Engine::new(&settings, "aegis.transactions");
    let (committer, _) = Committer::start(engine, engine::Limits::default());
    let (_, readiness) = watch::channel(Readiness::default());
    router(ApiState::new(
        committer,
        settings.pool(),
        Limits::default(),
        readiness,
    ))
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, String, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let retry_after = response.headers().get("retry-after").cloned();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let retry_after = retry_after.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    (status, retry_after, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503_that_says_when_to_come_again() {
    let router = without_database();
    let post = json_request(TRANSFERS).header("idempotency-key", "k");
    for request in [
        Request::get("/v1/ledgers").body(Body::empty()).unwrap(),
        Request::get("/v1/ledgers/main/wallets/shop")
            .body(Body::empty())
            .unwrap(),
        post.body(Body::from(transfer().to_string())).unwrap(),
    ] {
        let (status, retry_after, body) = send(&router, request).await;
        assert_eq!(
            (status.as_u16(), &body["code"]),
            (503, &json!("database_unavailable")),
            "{body}"
        );
        assert!(retry_after.parse::<u32>().unwrap() > 0);
        assert!(!body.to_string().contains("127.0.0.1"), "{body}");
    }
    let (status, _, body) = send(
        &router,
        Request::get("/readyz").body(Body::empty()).unwrap(),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &body["checks"][0]["status"]),
        (503, &json!("failed"))
    );
    let (status, ..) = send(&router, Request::get("/livez").body(Body::empty()).unwrap()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_posting_without_database_leaves_its_outcome_open() {
    let api = TestApi::new().await;
    let engine = Engine::new(&nowhere(), "aegis.transactions");
    let (committer, _) = Committer::start(engine, engine::Limits::default());
    let (_, readiness) = watch::channel(Readiness::default());
    let pool = api.database.pool().clone();
    let router = router(ApiState::new(committer, pool, Limits::default(), readiness));
    let request = json_request(TRANSFERS).header("idempotency-key", "k");
    let request = request.body(Body::from(transfer().to_string())).unwrap();
    let (status, retry_after, body) = send(&router, request).await;
    assert_eq!(
        (status.as_u16(), &body["code"]),
        (503, &json!("database_unavailable"))
    );
    assert_eq!(retry_after, "2");
    let detail = body["detail"].as_str().unwrap();
    assert!(
        detail.contains("unknown") && detail.contains("same Idempotency-Key"),
        "{detail}"
    );
}

#[tokio::test]
async fn an_error_of_ours_tells_nothing_of_its_insides() {
    let api = TestApi::new().await;
    sqlx::query("ALTER TABLE transactions RENAME TO gone")
        .execute(api.database.pool())
        .await
        .unwrap();
    let posted = api.post(TRANSFERS, "k", transfer()).await;
    let read = api.get("/v1/ledgers/main/transactions?reference=r").await;
    for answer in [posted, read] {
        assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"));
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(!detail.contains("transactions"), "{detail}");
    }
}

#[tokio::test]
async fn a_timeout_leaves_the_posting_to_happen_and_the_key_tells() {
    let limits = Limits {
        request_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let api = TestApi::with_limits(limits).await;
    // The ledger is known, so that only the posting takes time.
    let began = Instant::now();
    while api.get("/v1/ledgers/main").await.status != 200 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it is never read"
        );
    }
    let mut other = api.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .fetch_all(&mut *other)
        .await
        .unwrap();
    let answer = api.post(TRANSFERS, "k", transfer()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (504, "timeout"));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("unknown") && detail.contains("same Idempotency-Key"),
        "{detail}"
    );
    other.rollback().await.unwrap();
    let again = api.post(TRANSFERS, "k", transfer()).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(api.balance("shop").await, 5);
}

#[tokio::test]
async fn a_caller_that_disappears_takes_nothing_back() {
    let api = TestApi::new().await;
    api.get("/v1/ledgers/main").await;
    let mut other = api.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .fetch_all(&mut *other)
        .await
        .unwrap();
    tokio::select! {
        answer = api.post(TRANSFERS, "k", transfer()) => panic!("{answer:?}"),
        () = api.database.wait_until_blocked() => {}
    }
    other.rollback().await.unwrap();
    let again = api.post(TRANSFERS, "k", transfer()).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(api.balance("shop").await, 5);
}

#[tokio::test]
async fn a_queue_without_room_is_a_429_and_nothing_happens() {
    let api = TestApi::new().await;
    let engine = Engine::new(&api.database.settings(), "aegis.transactions");
    let narrow = engine::Limits {
        queue_commands_max: 1,
        queue_wait: Duration::from_millis(50),
        ..engine::Limits::default()
    };
    let (committer, _) = Committer::start(engine, narrow);
    let (_, readiness) = watch::channel(Readiness::default());
    let pool = api.database.pool().clone();
    let router = router(ApiState::new(committer, pool, Limits::default(), readiness));
    let mut other = api.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .fetch_all(&mut *other)
        .await
        .unwrap();
    let request = |key: &str| {
        let request = json_request(TRANSFERS).header("idempotency-key", key);
        request.body(Body::from(transfer().to_string())).unwrap()
    };
    let first = tokio::spawn({
        let (router, request) = (router.clone(), request("a"));
        async move { send(&router, request).await }
    });
    api.database.wait_until_blocked().await;
    let (status, retry_after, body) = send(&router, request("b")).await;
    assert_eq!(
        (status.as_u16(), &body["code"]),
        (429, &json!("overloaded"))
    );
    assert_eq!(retry_after, "1");
    other.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().0, 201);
    assert_eq!(api.balance("shop").await, 5);
}

#[tokio::test]
async fn a_database_without_room_is_a_503_and_nothing_happens() {
    let api = TestApi::new().await;
    for (code, key) in [
        ("disk_full", "a"),
        ("out_of_memory", "b"),
        ("io_error", "c"),
    ] {
        let raise = format!(
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{code}'; END $$"
        );
        let raise = sqlx::AssertSqlSafe(raise);
        sqlx::query(raise)
            .execute(api.database.pool())
            .await
            .unwrap();
        let trigger = "CREATE OR REPLACE TRIGGER no_room BEFORE INSERT ON transactions
                       FOR EACH STATEMENT EXECUTE FUNCTION no_room()";
        sqlx::query(trigger)
            .execute(api.database.pool())
            .await
            .unwrap();
        let answer = api.post(TRANSFERS, key, transfer()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (503, "database_exhausted"),
            "{code}: {answer:?}"
        );
        assert_eq!(answer.header("retry-after"), "30");
    }
    sqlx::query("DROP TRIGGER no_room ON transactions")
        .execute(api.database.pool())
        .await
        .unwrap();
    assert_eq!(api.post(TRANSFERS, "a", transfer()).await.status, 201);
    assert_eq!(api.balance("shop").await, 5);
}

#[tokio::test]
async fn one_more_than_there_is_room_for_is_turned_away_at_the_door_and_probes_are_not() {
    let api = TestApi::with_limits(Limits {
        requests_max: 1,
        ..Limits::default()
    })
    .await;
    api.get("/v1/ledgers/main").await;
    let mut other = api.database.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM wallets FOR UPDATE")
        .fetch_all(&mut *other)
        .await
        .unwrap();
    let turned_away = async {
        api.database.wait_until_blocked().await;
        for answer in [
            api.post(TRANSFERS, "b", transfer()).await,
            api.get("/v1/ledgers").await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.code()), (429, "overloaded"));
            assert_eq!(answer.header("retry-after"), "1");
        }
        assert_eq!(api.get("/livez").await.status, 200);
        assert_eq!(api.get("/readyz").await.status, 200);
        other.rollback().await.unwrap();
    };
    let (first, ()) = tokio::join!(api.post(TRANSFERS, "a", transfer()), turned_away);
    assert_eq!(first.status, 201);
    assert_eq!(api.post(TRANSFERS, "b", transfer()).await.status, 201);
}

#[tokio::test]
async fn connections_that_died_while_idle_are_not_noticed() {
    let api = TestApi::new().await;
    let pool = api.database.pool();
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(pool.acquire().await.unwrap());
    }
    drop(idle);
    assert_eq!(api.post(TRANSFERS, "a", transfer()).await.status, 201);
    let admin = TestApi::new().await;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(api.database.url().rsplit_once('/').unwrap().1)
        .execute(admin.database.pool())
        .await
        .unwrap();
    let wallet = api.get("/v1/ledgers/main/wallets/shop").await;
    assert_eq!(
        (wallet.status.as_u16(), &wallet.body["balance"]),
        (200, &json!(5))
    );
    assert_eq!(api.get("/readyz").await.body["status"], "ok");
    assert_eq!(api.post(TRANSFERS, "b", transfer()).await.status, 201);
}
