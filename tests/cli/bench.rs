//! What a bench makes on the servers goes with it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aegis::bus::{KafkaBus, KafkaOptions};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::support::{Tool, run_alone};

const PATIENCE: Duration = Duration::from_secs(60);

/// A role that makes databases: those of the test's own benches are known by it.
struct Maker {
    tool: Tool,
    name: String,
}

impl Maker {
    async fn new() -> Self {
        let tool = Tool::new().await;
        let name = format!("aegis_test_{}", Uuid::now_v7().simple());
        let statement = format!("CREATE ROLE {name} LOGIN CREATEDB PASSWORD 'maker'");
        execute(tool.database.pool(), &statement).await;
        Self { tool, name }
    }

    fn bench(&self, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let (_, server) = self.tool.database.url().rsplit_once('@').unwrap();
        let url = format!("postgres://{}:maker@{server}", self.name);
        let args: Vec<&str> = ["bench"].iter().chain(args).copied().collect();
        self.tool
            .command(&args)
            .env("DATABASE_URL", url)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The databases that are there.
    async fn databases(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT datname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
             WHERE rolname = $1",
        )
        .bind(&self.name)
        .fetch_all(self.tool.database.pool())
        .await
        .unwrap()
    }

    /// The bench's database, as soon as it is there.
    async fn database(&self) -> String {
        let began = Instant::now();
        loop {
            if let Some(name) = self.databases().await.pop() {
                return name;
            }
            assert!(began.elapsed() < PATIENCE, "it makes no database");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn nothing_is_left(self) {
        let left = self.databases().await;
        for database in &left {
            let statement = format!("DROP DATABASE {database} WITH (FORCE)");
            execute(self.tool.database.pool(), &statement).await;
        }
        let statement = format!("DROP ROLE {}", self.name);
        execute(self.tool.database.pool(), &statement).await;
        assert_eq!(left, Vec::<String>::new());
    }
}

async fn execute(pool: &PgPool, statement: &str) {
    let statement = sqlx::query(AssertSqlSafe(statement.to_owned()));
    statement.execute(pool).await.unwrap();
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
}

/// Waits for its end: the exit code, and what it said from here on.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_that_is_interrupted_leaves_no_database() {
    let maker = Maker::new().await;
    // While it gets ready, and while it measures.
    for measuring in [false, true] {
        let mut child = maker.bench(&["post", "--singles", "5", "--batches", "1000"], &[]);
        maker.database().await;
        if measuring {
            let mut stderr = BufReader::with_capacity(1, child.stderr.take().unwrap());
            let mut line = String::new();
            while !line.contains("one transfer a call") {
                line.clear();
                assert_ne!(stderr.read_line(&mut line).unwrap(), 0);
            }
            child.stderr = Some(stderr.into_inner());
        }
        interrupt(&child);
        let (code, said) = ended(child);
        assert_eq!(code, Some(130), "{said}");
        assert!(said.contains("is removed"), "{said}");
        assert_eq!(maker.databases().await, Vec::<String>::new());
    }
    maker.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_that_fails_in_the_middle_leaves_no_database() {
    let maker = Maker::new().await;
    let child = maker.bench(&["verify", "--entries", "10000000"], &[]);
    let database = maker.database().await;
    let pool = maker.tool.database.pool();
    let statement = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false");
    execute(pool, &statement).await;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(&database)
        .execute(pool)
        .await
        .unwrap();
    let (code, said) = ended(child);
    assert!(matches!(code, Some(1 | 7)), "{code:?}: {said}");
    maker.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_of_the_relay_that_is_interrupted_leaves_no_topic() {
    let brokers = std::env::var("KAFKA_BROKERS").expect("dev/stack env names the brokers");
    let kafka = KafkaBus::new(KafkaOptions::new(&brokers)).unwrap();
    let maker = Maker::new().await;
    let child = maker.bench(
        &["relay"],
        &[("BUS", "kafka"), ("KAFKA_BROKERS", brokers.as_str())],
    );
    let topic = maker.database().await.replace('_', ".");
    let is_there = async || {
        let info = kafka.ping(PATIENCE).await.unwrap();
        info.topics.contains(&topic)
    };
    assert!(is_there().await, "{topic}");
    interrupt(&child);
    let (code, said) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    // The broker has said yes; other brokers' answers may lag.
    let began = Instant::now();
    while is_there().await {
        assert!(began.elapsed() < PATIENCE, "{topic} is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    maker.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_of_the_relay_without_kafka_ends_with_7_and_makes_nothing() {
    let tool = Tool::new().await;
    let ran = run_alone(
        &["bench", "relay"],
        &[
            ("DATABASE_URL", tool.database.url()),
            ("BUS", "kafka"),
            ("KAFKA_BROKERS", "127.0.0.1:1"),
        ],
    )
    .exits(7);
    assert!(ran.stderr.contains("KAFKA_BROKERS"), "{}", ran.stderr);
}
