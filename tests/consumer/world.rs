//! A database, topics and a publisher, for daemons that consume from a real Kafka.

use std::process::Command;
use std::time::{Duration, Instant};

use aegis::bus::{KafkaBus, KafkaOptions, Record};
use aegis::ledger::Ledger;
use aegis::postgres::dead_letters::list::{self, Filter, Letter};
use aegis::verify::{self, Progress};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};
use crate::common::ran::Ran;
use crate::scene::{command, record};
use crate::shared::daemon::{Daemon, Settings};
use crate::shared::topic::{DaemonTopic, settlements_of};
use crate::shared::{Arrived, PATIENCE, publish_until_done, read_all};

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    pub(crate) topic: DaemonTopic,
    publisher: KafkaBus,
}

impl World {
    /// With wallets `world`, which has no bottom, and `shop`.
    pub(crate) async fn new() -> Self {
        Self::on(DaemonTopic::on_shared_kafka().await).await
    }

    pub(crate) async fn on(topic: DaemonTopic) -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        wallet(database.pool(), &ledger, "world", "NGN", None).await;
        wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
        let options = KafkaOptions {
            record_bytes_max: 4_000_000,
            ..KafkaOptions::new(&topic.brokers)
        };
        Self {
            database,
            ledger,
            publisher: KafkaBus::new(options).unwrap(),
            topic,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(self.database.url()).with_kafka(&self.topic.brokers, &self.topic.name)
    }

    pub(crate) async fn daemon(&self) -> Daemon {
        self.settings().start().await
    }

    pub(crate) fn commands_topic(&self) -> String {
        settlements_of(&self.topic.name)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn publish(&self, records: &[Record]) {
        publish_until_done(&self.publisher, records).await;
    }

    /// Records that ask for transfers of 1, their record keys taking turns.
    pub(crate) fn commands(&self, name: &str, count: usize, keys: usize) -> Vec<Record> {
        let topic = self.commands_topic();
        (0..count)
            .map(|n| {
                let asked = command(&format!("{name}-{n}"), "world", "shop", 1);
                record(&topic, &format!("key-{}", n % keys), &asked)
            })
            .collect()
    }

    /// What is no event at all.
    pub(crate) fn poison(&self, key: &str) -> Record {
        Record {
            topic: self.commands_topic(),
            key: key.into(),
            headers: Vec::new(),
            payload: b"\x00\xff poison".to_vec(),
        }
    }

    pub(crate) async fn balance(&self) -> i64 {
        let shop = read_wallet(self.pool(), &self.ledger, "shop", "NGN").await;
        shop.balance
    }

    pub(crate) async fn letters(&self) -> Vec<Letter> {
        let mut conn = self.pool().acquire().await.unwrap();
        let all = Filter::default();
        list::page(&mut conn, &all, 0, 1_000).await.unwrap()
    }

    /// What lies on the topic of dead letters.
    pub(crate) async fn letters_on_kafka(&self) -> Vec<Arrived> {
        read_all(
            &self.topic.brokers,
            &format!("{}.dlq", self.commands_topic()),
        )
        .await
    }

    /// Waits until the query gives this number.
    pub(crate) async fn until(&self, query: &'static str, wanted: i64) {
        let began = Instant::now();
        loop {
            let found: sqlx::Result<i64> = sqlx::query_scalar(query).fetch_one(self.pool()).await;
            match found {
                Ok(found) if found == wanted => return,
                found => assert!(
                    began.elapsed() < PATIENCE,
                    "{query}: {found:?} for {wanted}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_posted(&self, wanted: usize) {
        let query = "SELECT count(*) FROM transactions";
        self.until(query, wanted.try_into().unwrap()).await;
    }

    pub(crate) async fn until_letters(&self, wanted: i64) {
        self.until("SELECT count(*) FROM dead_letters", wanted)
            .await;
    }

    /// Waits until so many messages wait, and has them fail for the last time now.
    pub(crate) async fn hurry(&self, waiting: i64) {
        self.until(
            "SELECT count(*) FROM consumer_retries WHERE attempts > 0",
            waiting,
        )
        .await;
        sqlx::query("UPDATE consumer_retries SET attempts = 5, next_attempt_at = now()")
            .execute(self.pool())
            .await
            .unwrap();
    }

    /// Each of so many transfers of 1 was posted once, and the ledger is intact.
    pub(crate) async fn assert_posted_once(&self, count: usize) {
        self.until_posted(count).await;
        assert_eq!(self.balance().await, i64::try_from(count).unwrap());
        let report = verify::ledger(
            &self.database.settings(),
            &self.ledger,
            verify::Options::default(),
            &Progress::default(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
        assert!(report.ok, "{report:?}");
    }

    pub(crate) fn aegisctl(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", self.database.url())
            .env("BUS", "kafka")
            .env("KAFKA_BROKERS", &self.topic.brokers)
            .env("REDIS_ADDRESS", "")
            .output()
            .unwrap();
        Ran::of(output)
    }
}
