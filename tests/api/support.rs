//! The API over a database of its own, called without a network.

use std::sync::Arc;

use aegis::api::{ApiState, Limits, Readiness, router};
use aegis::bus::{Bus, LocalBus};
use aegis::dlq::Replayer;
use aegis::engine::{self, Committer, Engine};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, wallet};

/// The API, its database, and what the daemon would report.
pub struct TestApi {
    pub router: Router,
    pub readiness: watch::Sender<Readiness>,
    pub bus: LocalBus,
    pub database: TestDatabase,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The code of a problem, or nothing.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The fields that a problem names.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        errors
            .map(|error| error["field"].as_str().unwrap())
            .collect()
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl TestApi {
    /// Over a fresh database with the wallets `world` (unbounded), `shop` and `fees` in NGN.
    pub async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        for (address, min_balance) in [("world", None), ("shop", Some(0)), ("fees", Some(0))] {
            wallet(database.pool(), &ledger, address, "NGN", min_balance).await;
        }
        let engine = Engine::new(&database.settings(), "aegis.transactions");
        let (committer, _) = Committer::start(engine, engine::Limits::default());
        let (readiness, reported) = watch::channel(Readiness::default());
        let bus = LocalBus::default();
        let pool = database.pool().clone();
        let replayer = Replayer::new(pool.clone(), Arc::new(Bus::Local(bus.clone())));
        let state = ApiState::new(committer, pool, limits, reported).with_replayer(replayer);
        Self {
            router: router(state),
            readiness,
            bus,
            database,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// Posts JSON under a key.
    pub async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.post_text(path, key, body.to_string()).await
    }

    /// Posts text that says it is JSON.
    pub async fn post_text(&self, path: &str, key: &str, body: String) -> Answer {
        let request = json_request(path).header("idempotency-key", key);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// How many rows the tables hold that requests write to.
    pub async fn rows(&self) -> [i64; 5] {
        let counts: (i64, i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM ledgers), (SELECT count(*) FROM wallets),
                    (SELECT count(*) FROM transactions), (SELECT count(*) FROM ledger_entries),
                    (SELECT count(*) FROM transaction_outbox)",
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap();
        counts.into()
    }

    pub async fn balance(&self, address: &str) -> i64 {
        let wallet = self
            .get(&format!("/v1/ledgers/main/wallets/{address}"))
            .await;
        wallet.body["balance"].as_i64().unwrap()
    }
}

/// A POST that says its body is JSON.
pub fn json_request(path: &str) -> axum::http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}
