//! A ledger with its wallets, and a topic for its events: what is broken around.

use std::time::Instant;

use aegis::ledger::Ledger;
use aegis::postgres::{Settings, outbox};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, wallet};
use crate::support::PATIENCE;
use crate::support::daemon;
use crate::support::postgres::Postgres;
use crate::support::topic::DaemonTopic;

/// The outside world, which may go negative.
pub(crate) const WORLD: &str = "world";
/// Wallets that refuse to.
pub(crate) const WALLETS: [&str; 6] = ["shop:a", "shop:b", "shop:c", "shop:d", "fees", "reserve"];
pub(crate) const CURRENCY: &str = "NGN";

/// A database and a topic of a test's own.
pub(crate) struct Scene {
    url: String,
    pub(crate) ledger: Ledger,
    pub(crate) topic: DaemonTopic,
    _database: Option<TestDatabase>,
}

impl Scene {
    /// On the servers that all tests share.
    pub(crate) async fn new() -> Self {
        Self::with_topic(DaemonTopic::on_shared_kafka().await).await
    }

    /// On the PostgreSQL that all tests share, with this topic.
    pub(crate) async fn with_topic(topic: DaemonTopic) -> Self {
        let database = TestDatabase::create().await;
        let ledger = furnish(database.pool()).await;
        Self {
            url: database.url().to_owned(),
            ledger,
            topic,
            _database: Some(database),
        }
    }

    /// On a PostgreSQL of the test's own.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let pool = postgres.migrated().await;
        let ledger = furnish(&pool).await;
        pool.close().await;
        Self {
            url: postgres.url(),
            ledger,
            topic: DaemonTopic::on_shared_kafka().await,
            _database: None,
        }
    }

    /// A daemon over both.
    pub(crate) fn daemon(&self) -> daemon::Settings {
        daemon::Settings::new(&self.url).with_kafka(&self.topic.brokers, &self.topic.name)
    }

    /// The same, with its way to the database leading through another address, without TLS.
    pub(crate) fn daemon_through(&self, address: &str) -> daemon::Settings {
        let url = self.url.replace(&self.server(), address);
        let url = url.split('?').next().expect("a part before it");
        let url = format!("{url}?sslmode=disable");
        daemon::Settings::new(&url).with_kafka(&self.topic.brokers, &self.topic.name)
    }

    /// Where the database server listens.
    pub(crate) fn server(&self) -> String {
        let direct = self.settings().options;
        format!("{}:{}", direct.get_host(), direct.get_port())
    }

    /// How the library reaches the database.
    pub(crate) fn settings(&self) -> Settings {
        Settings::from_url(&self.url).unwrap()
    }

    /// A new connection: those of a pool may have died with a server.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("PostgreSQL answers")
    }

    /// How many events wait.
    pub(crate) async fn waiting(&self) -> i64 {
        let mut conn = self.connect().await;
        outbox::depth(&mut conn, None).await.unwrap().rows
    }

    /// Waits until Kafka has refused an event.
    pub(crate) async fn some_refused(&self) {
        let started = Instant::now();
        let mut conn = self.connect().await;
        while outbox::depth(&mut conn, None).await.unwrap().refused == 0 {
            assert!(started.elapsed() < PATIENCE, "none is refused");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every event has left the outbox.
    pub(crate) async fn all_published(&self) {
        let started = Instant::now();
        loop {
            let waiting = self.waiting().await;
            if waiting == 0 {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{waiting} events wait");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Until it is dropped, an event that was refused once has its last attempt at once.
pub(crate) struct Hurry {
    _task: JoinSet<()>,
}

impl Scene {
    /// Saves the waits between attempts.
    pub(crate) fn hurry(&self) -> Hurry {
        let url = self.url.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut conn = PgConnection::connect(&url).await.unwrap();
            loop {
                sqlx::query(
                    "UPDATE transaction_outbox SET attempts = 5, next_attempt_at = now()
                     WHERE next_attempt_at IS NOT NULL AND attempts < 5",
                )
                .execute(&mut conn)
                .await
                .unwrap();
                sleep(Duration::from_millis(100)).await;
            }
        });
        Hurry { _task: task }
    }
}

async fn furnish(pool: &PgPool) -> Ledger {
    let ledger = main_ledger(pool).await;
    wallet(pool, &ledger, WORLD, CURRENCY, None).await;
    for address in WALLETS {
        wallet(pool, &ledger, address, CURRENCY, Some(0)).await;
    }
    ledger
}
