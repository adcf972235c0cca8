//! What breaks, one thing after another, by the seed: each kind once before any comes a second time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aegis::simulator::{Armed, Fault, Simulator};
use fastrand::Rng;
use sqlx::{Connection as _, PgConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::support::broker::Broker;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;
use crate::world::{HOT, World};

/// What the daemon depends on, beside the PSP.
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) broker: Broker,
    pub(crate) redis: Redis,
}

/// What can happen, and how it is told.
const KINDS: [&str; 13] = [
    "connections ended",
    "all connections ended",
    "database restarted",
    "database crashed",
    "wallet locked",
    "kafka hangs",
    "kafka is deaf",
    "kafka killed",
    "redis hangs",
    "redis restarted",
    "psp fails",
    "half requests",
    "reload",
];

/// No fault is under way.
const CALM: &str = "";

pub(crate) struct Faults {
    task: JoinHandle<(Servers, String)>,
    under_way: watch::Receiver<&'static str>,
    stop: CancellationToken,
}

struct Breaker {
    servers: Servers,
    simulator: Arc<Simulator>,
    url: String,
    daemon: (u32, String),
    rng: Rng,
}

impl Faults {
    pub(crate) fn start(world: &World, servers: Servers, seed: u64, calm_ms: Range<u64>) -> Self {
        let breaker = Breaker {
            servers,
            simulator: Arc::clone(&world.simulator),
            url: world.url.clone(),
            daemon: (world.daemon.id(), world.daemon.address.clone()),
            rng: Rng::with_seed(seed),
        };
        let (told, under_way) = watch::channel(CALM);
        let stop = CancellationToken::new();
        let task = tokio::spawn(breaker.run(calm_ms, told, stop.clone()));
        Self {
            task,
            under_way,
            stop,
        }
    }

    /// The fault that is under way.
    pub(crate) fn under_way(&self) -> &'static str {
        *self.under_way.borrow()
    }

    /// Fails where whoever breaks things did.
    pub(crate) fn go_on(&self) {
        assert!(!self.task.is_finished(), "nobody breaks anything any more");
    }

    /// Lets the last one be over: the servers, and how often what happened.
    pub(crate) async fn stop(self) -> (Servers, String) {
        self.stop.cancel();
        self.task.await.expect("faults came and went")
    }
}

impl Breaker {
    async fn run(
        mut self,
        calm_ms: Range<u64>,
        told: watch::Sender<&'static str>,
        stop: CancellationToken,
    ) -> (Servers, String) {
        let mut happened: BTreeMap<&str, u32> = BTreeMap::new();
        let mut bag: Vec<&'static str> = Vec::new();
        loop {
            let calm = sleep(Duration::from_millis(self.rng.u64(calm_ms.clone())));
            tokio::select! {
                () = calm => {}
                () = stop.cancelled() => break,
            }
            if bag.is_empty() {
                bag.extend(KINDS);
                self.rng.shuffle(&mut bag);
            }
            let Some(kind) = bag.pop() else { break };
            told.send_replace(kind);
            self.happen(kind).await;
            told.send_replace(CALM);
            *happened.entry(kind).or_default() += 1;
        }
        let mut list = String::new();
        for (kind, times) in happened {
            write!(list, "{times} × {kind}, ").unwrap();
        }
        (self.servers, list.trim_end_matches(", ").to_owned())
    }

    /// Lets it happen and be over.
    async fn happen(&mut self, kind: &str) {
        match kind {
            "connections ended" => self.end_connections("random() < 0.4").await,
            "all connections ended" => self.end_connections("true").await,
            "database restarted" => {
                self.servers.postgres.stop_fast().await;
                self.lasts(0..1_000).await;
                self.servers.postgres.revive().await;
            }
            "database crashed" => {
                self.servers.postgres.stop_immediate().await;
                self.servers.postgres.revive().await;
            }
            "wallet locked" => self.lock_the_hot_wallet().await,
            "kafka hangs" => {
                self.servers.broker.freeze();
                self.lasts(1_000..5_000).await;
                self.servers.broker.thaw();
            }
            "kafka is deaf" => {
                self.servers.broker.swallow_answers();
                self.lasts(1_000..4_000).await;
                self.servers.broker.reconnect();
            }
            "kafka killed" => {
                self.servers.broker.kill();
                self.servers.broker.revive().await;
            }
            "redis hangs" => {
                self.servers.redis.freeze();
                self.lasts(500..3_000).await;
                self.servers.redis.thaw();
            }
            "redis restarted" => {
                self.servers.redis.stop().await;
                self.lasts(0..2_000).await;
                self.servers.redis.revive().await;
            }
            "psp fails" => self.let_the_psp_fail().await,
            "half requests" => self.send_half_requests().await,
            _ => self.reload(),
        }
    }

    async fn lasts(&mut self, ms: Range<u64>) {
        sleep(Duration::from_millis(self.rng.u64(ms))).await;
    }

    async fn end_connections(&self, which: &str) {
        let mut conn = PgConnection::connect(&self.url).await.unwrap();
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE application_name LIKE 'aegis%' AND {which}"
        );
        sqlx::query(sqlx::AssertSqlSafe(end))
            .execute(&mut conn)
            .await
            .unwrap();
    }

    async fn lock_the_hot_wallet(&mut self) {
        let mut conn = PgConnection::connect(&self.url).await.unwrap();
        let mut transaction = conn.begin().await.unwrap();
        sqlx::query("SELECT FROM wallets WHERE address = $1 FOR UPDATE")
            .bind(HOT)
            .execute(&mut *transaction)
            .await
            .unwrap();
        self.lasts(500..2_500).await;
        transaction.rollback().await.unwrap();
    }

    /// So often that the breaker opens.
    async fn let_the_psp_fail(&mut self) {
        let fault = match self.rng.u8(..3) {
            0 => Fault::Timeout,
            1 => Fault::ServerError,
            _ => Fault::Lost,
        };
        self.simulator.arm(Armed {
            times: self.rng.u32(5..30),
            ..Armed::next(fault)
        });
        self.lasts(1_000..3_000).await;
    }

    /// Clients that begin a request and are gone.
    async fn send_half_requests(&mut self) {
        for _ in 0..50 {
            let mut client = TcpStream::connect(&self.daemon.1).await.unwrap();
            let head = "POST /v1/ledgers/main/transfers HTTP/1.1\r\nHost: soak\r\n\
                        Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"source\":";
            let end = self.rng.usize(1..=head.len());
            client.write_all(&head.as_bytes()[..end]).await.unwrap();
            self.lasts(0..5).await;
        }
    }

    /// The configuration is read again.
    fn reload(&self) {
        let id = self.daemon.0.to_string();
        let status = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(status.success(), "kill -HUP {id}");
    }
}
