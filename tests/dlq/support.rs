//! A database with dead letters, topics for their messages, and `aegisctl` to decide on them.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aegis::bus::{Bus, KafkaBus, KafkaOptions};
use aegis::dlq::DlqError;
use aegis::dlq::plan::Plan;
use aegis::dlq::replay::{Notice, Options, Replay, Report};
use aegis::dlq::selection::{Selection, Which};
use aegis::event::{DeadLetter, Original};
use aegis::postgres::audit::Actor;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::common::TestDatabase;
pub use crate::common::ran::Ran;
use crate::shared::topic::DaemonTopic;
use crate::shared::{Arrived, PATIENCE, brokers, read_all};

/// When the first of a test's letters failed.
pub const FAILED_AT: OffsetDateTime = datetime!(2026-11-23 01:02:03 UTC);

/// A letter to be: a message on a topic, and how it failed.
#[derive(Clone)]
pub struct Draft {
    pub topic: String,
    pub key: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub payload: Vec<u8>,
    pub error: String,
    pub failed_at: OffsetDateTime,
    pub correlation_id: Option<String>,
    pub event_id: Uuid,
    pub ledger: Option<String>,
    pub replay_count: i32,
    pub previous_id: Option<i64>,
    pub first_id: Option<i64>,
    /// In place of the dead letter's JSON.
    pub raw: Option<Vec<u8>>,
}

impl Draft {
    /// A message of this topic and key.
    pub fn new(topic: &str, key: &str) -> Self {
        let event_id = Uuid::now_v7();
        Self {
            topic: topic.to_owned(),
            key: key.into(),
            headers: vec![
                ("ce_id".into(), event_id.to_string().into_bytes()),
                ("ce_source".into(), b"/ledgers/main".to_vec()),
            ],
            payload: format!("{{\"key\":\"{key}\"}}").into_bytes(),
            error: "psp_unavailable: the PSP answered 503".into(),
            failed_at: FAILED_AT,
            correlation_id: None,
            event_id,
            ledger: Some("main".into()),
            replay_count: 0,
            previous_id: None,
            first_id: None,
            raw: None,
        }
    }

    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    pub fn error(mut self, error: &str) -> Self {
        self.error = error.to_owned();
        self
    }

    pub fn lives(mut self, replay_count: i32) -> Self {
        self.replay_count = replay_count;
        self
    }

    fn json(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let original = Original {
            topic: &self.topic,
            key: &self.key,
            headers: &self.headers,
            payload: &self.payload,
        };
        let correlation_id = self.correlation_id.clone();
        DeadLetter::new(original, &*self.error, 6, self.failed_at, correlation_id)
            .unwrap()
            .to_json()
            .unwrap()
    }

    /// Writes it into the index, as the consumer of the dead letters does: its number.
    pub async fn insert(&self, pool: &PgPool) -> i64 {
        sqlx::query_scalar(
            "INSERT INTO dead_letters (
                 topic, partition, \"offset\", letter, original_topic, event_id, ledger, error,
                 retry_count, failed_at, correlation_id, indexed_at, replay_count, previous_id,
                 first_id
             ) VALUES ($1, 0, (SELECT count(*) FROM dead_letters), $2, $3, $4, $5, $6, 6, $7, $8,
                       now(), $9, $10, $11)
             RETURNING id",
        )
        .bind(format!("{}.dlq", self.topic))
        .bind(self.json())
        .bind(&self.topic)
        .bind(self.event_id)
        .bind(&self.ledger)
        .bind(&self.error)
        .bind(self.failed_at)
        .bind(&self.correlation_id)
        .bind(self.replay_count)
        .bind(self.previous_id)
        .bind(self.first_id)
        .fetch_one(pool)
        .await
        .unwrap()
    }
}

/// A database of the test's own, and a topic.
pub struct Scene {
    pub database: TestDatabase,
    pub topic: DaemonTopic,
    directory: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        let (database, topic) =
            tokio::join!(TestDatabase::create(), DaemonTopic::on_shared_kafka());
        Self {
            database,
            topic,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A message of this key that failed.
    pub fn draft(&self, key: &str) -> Draft {
        Draft::new(&self.topic.name, key)
    }

    /// Letters of these keys, in order: their numbers.
    pub async fn letters(&self, keys: &[&str]) -> Vec<i64> {
        let mut ids = Vec::new();
        for (n, key) in keys.iter().enumerate() {
            let payload = format!("{{\"key\":\"{key}\",\"n\":{n}}}");
            let draft = self.draft(key).payload(payload);
            ids.push(draft.insert(self.pool()).await);
        }
        ids
    }

    /// All that arrived on the topic.
    pub async fn arrived(&self) -> Vec<Arrived> {
        read_all(&self.topic.brokers, &self.topic.name).await
    }

    pub async fn connect(&self) -> PgConnection {
        self.database.settings().connect("test").await.unwrap()
    }

    pub fn kafka(&self) -> Bus {
        Bus::Kafka(KafkaBus::new(KafkaOptions::new(&self.topic.brokers)).unwrap())
    }

    /// The plan for all that wait.
    pub async fn plan(&self) -> Plan {
        self.plan_for(Selection::new(all())).await
    }

    pub async fn plan_for(&self, selection: Selection) -> Plan {
        let mut conn = self.connect().await;
        Plan::make(&mut conn, selection).await.unwrap()
    }

    /// Takes the topics for a replay, and nothing more.
    pub async fn begin(&self, plan: Plan, options: Options<'_>) -> Result<Replay, DlqError> {
        Replay::begin(self.connect().await, plan, options, tester()).await
    }

    /// Replays all that wait to Kafka.
    pub async fn replay(&self, options: Options<'_>) -> Report {
        self.replay_to(&self.kafka(), options).await
    }

    /// Replays all that wait.
    pub async fn replay_to(&self, bus: &Bus, options: Options<'_>) -> Report {
        let replay = self.begin(self.plan().await, options).await.unwrap();
        let never = CancellationToken::new();
        let mut quiet = |_: Notice<'_>| {};
        replay.run(bus, &never, &mut quiet).await.unwrap()
    }

    /// The tool with this database, Kafka, and nothing else of the environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
        command
            .env_clear()
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.database.url())
            .env("REDIS_ADDRESS", "")
            .env("BUS", "kafka")
            .env("KAFKA_BROKERS", brokers())
            .env("KAFKA_TOPIC_SETTLEMENTS", &self.topic.name)
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Discards one letter and replays another, by the tool.
    pub fn decide(&self, discarded: i64, replayed: i64) {
        let (discarded, replayed) = (discarded.to_string(), replayed.to_string());
        self.run(&["--yes", "dlq", "discard", &discarded, "--reason", "x"])
            .exits(0);
        self.run(&["--yes", "dlq", "replay", &replayed]).exits(0);
    }

    /// Runs for JSON, which has to succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["-o", "json"].iter().chain(args).copied().collect();
        self.run(&args).exits(0).json()
    }

    /// Starts the tool and leaves it running.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Each letter's status and count, in order.
    pub async fn statuses(&self) -> Vec<(String, i32)> {
        let rows = sqlx::query("SELECT status, replay_count FROM dead_letters ORDER BY id")
            .fetch_all(self.pool())
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// How many letters are in this status.
    pub async fn count(&self, status: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM dead_letters WHERE status = $1")
            .bind(status)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// All that the tables of decisions hold, to see whether anything changed.
    pub async fn fingerprint(&self) -> String {
        sqlx::query_scalar(
            "SELECT concat_ws(' ',
                 (SELECT md5(string_agg(l::text, ',' ORDER BY id)) FROM dead_letters l),
                 (SELECT md5(string_agg(r::text, ',' ORDER BY id)) FROM dead_letter_replays r),
                 (SELECT count(*) FROM audit_log))",
        )
        .fetch_one(self.pool())
        .await
        .unwrap()
    }

    /// What the audit log holds: action, target, actor, host, reason and detail.
    pub async fn audit(&self) -> Vec<Deed> {
        let rows = sqlx::query(
            "SELECT action, target, actor, host, reason, detail::text FROM audit_log ORDER BY id",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        rows.iter()
            .map(|row| Deed {
                action: row.get(0),
                target: row.get(1),
                actor: row.get(2),
                host: row.get(3),
                reason: row.get(4),
                detail: row
                    .get::<Option<String>, _>(5)
                    .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap()),
            })
            .collect()
    }

    /// A run's status, and how many it has replayed.
    pub async fn run_row(&self, id: i64) -> (String, i64) {
        let row = sqlx::query("SELECT status, replayed FROM dead_letter_replays WHERE id = $1")
            .bind(id)
            .fetch_one(self.pool())
            .await
            .unwrap();
        (row.get(0), row.get(1))
    }

    /// Waits until the newest run has replayed so many: its number.
    pub async fn wait_until_replayed(&self, many: i64) -> i64 {
        let began = Instant::now();
        loop {
            let newest = sqlx::query(
                "SELECT id, replayed FROM dead_letter_replays ORDER BY id DESC LIMIT 1",
            )
            .fetch_optional(self.pool())
            .await
            .unwrap();
            if let Some(row) = newest
                && row.get::<i64, _>(1) >= many
            {
                return row.get(0);
            }
            assert!(began.elapsed() < PATIENCE, "no replay came to {many}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until nobody holds the topic.
    pub async fn wait_until_free(&self) {
        let mut conn = self.connect().await;
        let began = Instant::now();
        let topics = [self.topic.name.clone()];
        while aegis::postgres::dead_letters::lock::are_taken(&mut conn, &topics)
            .await
            .unwrap()
            .contains(&true)
        {
            assert!(began.elapsed() < PATIENCE, "the topic stays taken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A row of the audit log.
#[derive(Debug)]
pub struct Deed {
    pub action: String,
    pub target: String,
    pub actor: String,
    pub host: String,
    pub reason: Option<String>,
    pub detail: Value,
}

/// All that wait.
pub fn all() -> Which {
    Which::Waiting {
        topic: None,
        error: None,
        since: None,
    }
}

pub fn tester() -> Actor {
    Actor {
        name: "tester".into(),
        host: "bench-1".into(),
    }
}

/// Waits for a process: what it said.
pub fn ended(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap())
}

/// A header's value.
pub fn header<'a>(arrived: &'a Arrived, name: &str) -> &'a str {
    let (_, value) = arrived
        .record
        .headers
        .iter()
        .find(|(found, _)| found == name)
        .unwrap_or_else(|| panic!("no header {name} in {:?}", arrived.record.headers));
    std::str::from_utf8(value).unwrap()
}
