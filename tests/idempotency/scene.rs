//! A database, a Redis, and daemons on both.

use std::time::{Duration, Instant};

use aegis::ledger::Ledger;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};
use crate::support::PATIENCE;
use crate::support::daemon::{Daemon, Settings};
use crate::support::redis::Redis;

pub(crate) const TRANSFERS: &str = "/v1/ledgers/main/transfers";
pub(crate) const BATCH: &str = "/v1/ledgers/main/transfers/batch";
pub(crate) const TRANSACTIONS: &str = "/v1/ledgers/main/transactions";
pub(crate) const WALLETS: &str = "/v1/ledgers/main/wallets";
pub(crate) const LEDGERS: &str = "/v1/ledgers";

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    pub(crate) redis: Redis,
}

impl Scene {
    /// With the wallets `world` (unbounded), `shop` and `fees` in NGN.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        for (address, min_balance) in [("world", None), ("shop", Some(0)), ("fees", Some(0))] {
            wallet(database.pool(), &ledger, address, "NGN", min_balance).await;
        }
        Self {
            database,
            ledger,
            redis: Redis::start().await,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(self.database.url())
            .with("REDIS_ADDRESS", &self.redis.address())
            // What Redis is too late for PostgreSQL answers, and the machine may be slow.
            .with("REDIS_TIMEOUT_MS", "10000")
    }

    pub(crate) async fn daemon(&self) -> Daemon {
        self.settings().start().await
    }

    pub(crate) async fn balance(&self, address: &str) -> i64 {
        let pool = self.database.pool();
        read_wallet(pool, &self.ledger, address, "NGN")
            .await
            .balance
    }

    pub(crate) async fn transactions(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM transactions")
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    /// The record of a key, or null.
    pub(crate) async fn record(&self, key: &str) -> Value {
        let found: Option<String> = self.redis.ask(&["GET", &at(key)]).await;
        found.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    /// Waits until the key is free.
    pub(crate) async fn freed(&self, key: &str) {
        let began = Instant::now();
        while self.record(key).await != Value::Null {
            assert!(began.elapsed() < PATIENCE, "the record stays");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Where a key's record lies.
pub(crate) fn at(key: &str) -> String {
    format!("idempotency:-:{key}")
}

pub(crate) fn transfer(amount: i64) -> Value {
    json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": amount})
}

/// An answer, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) location: Option<String>,
    pub(crate) replayed: bool,
    pub(crate) retry_after: Option<String>,
    pub(crate) correlation_id: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What a repeat of this must be.
    pub(crate) fn is_repeat_of(&self, first: &Self) {
        let repeat = Self {
            replayed: true,
            correlation_id: self.correlation_id.clone(),
            ..first.clone()
        };
        assert_eq!(*self, repeat);
    }
}

pub(crate) fn request(daemon: &Daemon, path: &str, key: &str, body: String) -> RequestBuilder {
    Client::new()
        .post(format!("http://{}{path}", daemon.address))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(body)
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    Answer {
        status: response.status().as_u16(),
        content_type: header("content-type").unwrap_or_default(),
        location: header("location"),
        replayed: header("idempotent-replayed").as_deref() == Some("true"),
        retry_after: header("retry-after"),
        correlation_id: header("x-correlation-id").unwrap_or_default(),
        body: response.text().await.unwrap(),
    }
}

pub(crate) async fn post(daemon: &Daemon, path: &str, key: &str, body: &Value) -> Answer {
    send(request(daemon, path, key, body.to_string())).await
}

/// Posts until the key is no longer in flight.
pub(crate) async fn post_patiently(daemon: &Daemon, path: &str, key: &str, body: &Value) -> Answer {
    let began = Instant::now();
    loop {
        let answer = post(daemon, path, key, body).await;
        if answer.status != 409 {
            return answer;
        }
        is_in_flight(&answer);
        assert!(began.elapsed() < PATIENCE, "it stays in flight");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn is_in_flight(answer: &Answer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.code(), "idempotency_key_in_flight");
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}
