//! An aegisd with a PSP and Redis, some traffic of every kind, and what it exports then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use aegis::config::Secret;
use aegis::simulator::{Simulator, SimulatorOptions};
use reqwest::Client;
use serde_json::{Value, json};

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, wallet};
use crate::common::merchant::{TERMS, merchant};
use crate::support::PATIENCE;
use crate::support::daemon::{Daemon, Settings};
use crate::support::topic::DaemonTopic;

const KEY: &str = "sk_test_metrics";

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) daemon: Daemon,
    http: Client,
    _simulator: Simulator,
    _topic: Option<DaemonTopic>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(None).await
    }

    /// With Kafka too: nothing that can be configured is missing.
    pub(crate) async fn with_everything() -> Self {
        Self::on(Some(DaemonTopic::on_shared_kafka().await)).await
    }

    async fn on(topic: Option<DaemonTopic>) -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        wallet(database.pool(), &ledger, "world", "NGN", None).await;
        wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
        merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
        let simulator = Simulator::start(SimulatorOptions::new(Secret::new(KEY)));
        let simulator = simulator.await.unwrap();
        let redis = std::env::var("REDIS_ADDRESS").expect("REDIS_ADDRESS is set: dev/stack env");
        let mut settings = Settings::new(database.url())
            .with("PAYSTACK_SECRET_KEY", KEY)
            .with("PAYSTACK_BASE_URL", &simulator.base_url())
            .with("REDIS_ADDRESS", &redis)
            // What Redis is too late for is counted otherwise, and the machine may be slow.
            .with("REDIS_TIMEOUT_MS", "10000")
            .with("LOCKING", "redis");
        if let Some(topic) = &topic {
            settings = settings.with_kafka(&topic.brokers, &topic.name);
        }
        Self {
            database,
            daemon: settings.start().await,
            http: Client::new(),
            _simulator: simulator,
            _topic: topic,
        }
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> u16 {
        let url = format!("http://{}/v1/ledgers/main/{path}", self.daemon.address);
        let request = self.http.post(url).header("Idempotency-Key", key);
        let answer = request.json(&body).send().await.unwrap();
        answer.status().as_u16()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.daemon.address);
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Postings, a rejection, a payment and requests that lead nowhere.
    pub(crate) async fn traffic(&self) {
        let transfer = |amount| json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": amount});
        for n in 0..5 {
            let status = self
                .post("transfers", &format!("k{n}"), transfer(100))
                .await;
            assert_eq!(status, 201);
        }
        let back = json!({"source": "shop", "destination": "world", "currency": "NGN", "amount": 1_000_000});
        assert_eq!(self.post("transfers", "too-much", back).await, 422);
        // Under one key twice in a batch: the second is a repeat.
        let mut one = transfer(7);
        one["idempotency_key"] = "twice".into();
        let batch = json!({"transfers": [one, one]});
        assert_eq!(self.post("transfers/batch", "batch", batch).await, 200);
        let payment = json!({"merchant": "acme", "amount": 5_000, "currency": "NGN", "email": "a@example.com"});
        assert_eq!(self.post("payments", "payment", payment).await, 201);
        for n in 0..3 {
            let (status, _) = self.get(&format!("/nothing/{n}")).await;
            assert_eq!(status, 404);
            let (status, _) = self
                .get(&format!("/v1/ledgers/main/wallets/nobody-{n}?currency=NGN"))
                .await;
            assert_eq!(status, 404);
        }
    }

    pub(crate) async fn scrape(&self) -> String {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        text
    }

    /// What is exported as soon as this holds of it.
    pub(crate) async fn scraped_when(&self, holds: impl Fn(&Exported) -> bool) -> Exported {
        let began = Instant::now();
        loop {
            let exported = Exported::read(&self.scrape().await);
            if holds(&exported) {
                return exported;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it never holds:\n{}",
                self.scrape().await
            );
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// A series' labels and its value.
pub(crate) type Series = (BTreeMap<String, String>, f64);

/// What a scrape brought. Prometheus's own parser is `promtool`, where that is to be had.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    /// Each metric's labels, series by series. Of histograms, the counts of observations.
    pub(crate) series: BTreeMap<String, Vec<Series>>,
    /// As `# TYPE` says.
    pub(crate) types: BTreeMap<String, String>,
    /// The bounds of each histogram's buckets.
    pub(crate) bounds: BTreeMap<String, BTreeSet<String>>,
}

impl Exported {
    /// Reads the text format, version 0.0.4; a line that is none of it fails the test.
    pub(crate) fn read(text: &str) -> Self {
        let mut exported = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let before = exported.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} has one type");
            } else if !line.starts_with("# HELP ") {
                exported.take(line);
            }
        }
        exported
    }

    fn take(&mut self, line: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, mut labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels_of(labels, line)),
            None => (series, BTreeMap::new()),
        };
        let histogram = |end| {
            let base: &str = name.strip_suffix(end)?;
            let kind = self.types.get(base)?;
            (kind == "histogram").then(|| base.to_owned())
        };
        if let Some(name) = histogram("_bucket") {
            let bound = labels.remove("le").expect("a bucket has its bound");
            self.bounds.entry(name).or_default().insert(bound);
            return;
        }
        if histogram("_sum").is_some() {
            return;
        }
        let name = histogram("_count").unwrap_or_else(|| name.to_owned());
        assert!(
            self.types.contains_key(&name),
            "{line}: its type is not told"
        );
        self.series.entry(name).or_default().push((labels, value));
    }

    /// The value of the first series that has these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |found: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(name, value)| found.get(*name).is_some_and(|found| found == value))
        };
        let mut found = self
            .series
            .get(name)?
            .iter()
            .filter(|(found, _)| has(found));
        found.next().map(|(_, value)| *value)
    }

    /// All values of a label.
    pub(crate) fn values_of(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let series = self.series.get(name).into_iter().flatten();
        series
            .filter_map(|(labels, _)| labels.get(label).map(String::as_str))
            .collect()
    }
}

/// `a="b",c="d"}`, with quotes and backslashes escaped.
fn labels_of(text: &str, line: &str) -> BTreeMap<String, String> {
    let (mut labels, mut rest) = (BTreeMap::new(), text);
    while rest != "}" {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    end = Some(at);
                    break;
                }
                _ => {
                    value.push(if escaped && c == 'n' { '\n' } else { c });
                    escaped = false;
                }
            }
        }
        let end = end.unwrap_or_else(|| panic!("{line}"));
        let before = labels.insert(name.to_owned(), value);
        assert_eq!(before, None, "{line}: {name} stands there twice");
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}
