//! aegisd with a collector, and for payments a PSP.

use std::time::Duration;

use aegis::config::Secret;
use aegis::simulator::{Simulator, SimulatorOptions};
use reqwest::Client;
use serde_json::{Value, json};

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, wallet};
use crate::common::merchant::{TERMS, merchant};
use crate::support::daemon::{Daemon, Settings};
use crate::support::port::free_port;

pub const KEY: &str = "sk_test_watchword_of_the_psp";
/// Seen in no statement, no attribute and no line.
pub const AMOUNT: i64 = 7_654_321;
pub const EMAIL: &str = "watchword.ada@example.com";
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const CALLER: &str = "00f067aa0ba902b7";

pub struct Scene {
    pub database: TestDatabase,
    pub daemon: Daemon,
    /// Given to a PSP that the daemon calls.
    pub psp_port: u16,
    pub http: Client,
}

impl Scene {
    /// A daemon with wallets `shop` and `bank:main`, and with a merchant `acme`.
    pub async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        wallet(database.pool(), &ledger, "bank:main", "NGN", None).await;
        wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
        merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
        let psp_port = free_port();
        let given = Settings::new(database.url())
            .with("PAYSTACK_SECRET_KEY", KEY)
            .with("PAYSTACK_BASE_URL", &format!("http://127.0.0.1:{psp_port}"))
            .with("PAYMENTS_POLL_MS", "50");
        let daemon = change(given).start().await;
        Self {
            database,
            daemon,
            psp_port,
            http: Client::new(),
        }
    }

    /// The PSP, which sends its webhooks to the daemon.
    pub async fn psp(&self) -> Simulator {
        let mut options = SimulatorOptions::new(Secret::new(KEY));
        options.listen = format!("127.0.0.1:{}", self.psp_port).parse().unwrap();
        let webhooks = format!("http://{}/v1/webhooks/paystack", self.daemon.address);
        options.webhook_url = Some(webhooks);
        options.webhook_retries = vec![Duration::from_millis(50); 50];
        Simulator::start(options).await.unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.daemon.address)
    }

    /// The answer's status, its `traceparent` and its body.
    pub async fn post(
        &self,
        path: &str,
        key: &str,
        traceparent: Option<&str>,
        body: &Value,
    ) -> (u16, String, Value) {
        let mut request = self
            .http
            .post(self.url(path))
            .header("idempotency-key", key)
            .header("x-correlation-id", format!("correlation-{key}"));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let answer = request.json(body).send().await.unwrap();
        let traceparent = answer.headers()["traceparent"].to_str().unwrap().to_owned();
        let status = answer.status().as_u16();
        (status, traceparent, answer.json().await.unwrap())
    }

    /// Posts a transfer: the `traceparent` that was answered.
    pub async fn transfer(&self, key: &str, traceparent: Option<&str>) -> String {
        let body = json!({
            "source": "bank:main", "destination": "shop", "currency": "NGN", "amount": AMOUNT,
        });
        let path = "/v1/ledgers/main/transfers";
        let (status, traceparent, answer) = self.post(path, key, traceparent, &body).await;
        assert_eq!(status, 201, "{answer}");
        traceparent
    }

    /// A counter in `/metrics`, all its labels together.
    pub async fn counted(&self, name: &str) -> u64 {
        self.counted_with(name, "").await
    }

    /// The same of those series alone whose labels hold this.
    pub async fn counted_with(&self, name: &str, label: &str) -> u64 {
        let answer = self.http.get(self.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        let lines = lines.filter(|line| line.contains(label));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

pub fn trace_of(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap()
}
