//! aegisd under systemd, which the tests play: told when it serves and stops, fed while it works,
//! and holding the socket while it starts anew. Where it can be had, the real one, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod callers;
mod installed;
mod machine;
#[allow(dead_code, reason = "only blocks are looked at here")]
#[path = "../docs/pages.rs"]
mod pages;
mod parts;
mod stuck;
mod under_systemd;
mod unheard;
mod units;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use callers::{Callers, with_wallets};
use common::TestDatabase;
use common::ledger::read_wallet;
use support::PATIENCE;
use support::daemon::Settings;
use tokio::net::UnixDatagram;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// What the daemon's supervisor hears.
struct Supervisor {
    socket: UnixDatagram,
    place: PathBuf,
}

impl Supervisor {
    fn listening() -> Self {
        let name = format!("aegis-notify-{}", Uuid::now_v7().simple());
        let place = std::env::temp_dir().join(name);
        let socket = UnixDatagram::bind(&place).unwrap();
        Self { socket, place }
    }

    fn place(&self) -> &str {
        self.place.to_str().unwrap()
    }

    /// What a daemon is started with that tells it.
    fn settings(&self, database: &TestDatabase) -> Settings {
        Settings::new(database.url()).with("NOTIFY_SOCKET", self.place())
    }

    async fn heard(&self) -> String {
        let mut bytes = [0; 4_096];
        let heard = timeout(PATIENCE, self.socket.recv(&mut bytes)).await;
        let length = heard.expect("the daemon says something").unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Waits for a message with this line.
    async fn hears(&self, line: &str) -> String {
        let is_said = |heard: &str| heard.lines().any(|said| said == line);
        self.hears_that(line, is_said).await
    }

    /// Waits for a message of which this holds.
    async fn hears_that(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let heard = async {
            loop {
                let heard = self.heard().await;
                if holds(&heard) {
                    return heard;
                }
            }
        };
        let heard = timeout(PATIENCE, heard).await;
        heard.unwrap_or_else(|_| panic!("{what} is said"))
    }

    /// All that was said up to now.
    fn all_heard(&self) -> Vec<String> {
        let mut bytes = [0; 4_096];
        let said = std::iter::from_fn(|| {
            self.socket
                .try_recv(&mut bytes)
                .ok()
                .map(|n| String::from_utf8(bytes[..n].to_vec()).unwrap())
        });
        said.collect()
    }

    /// What has been said up to now is forgotten.
    fn forget(&self) {
        drop(self.all_heard());
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.place));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_said_once_it_serves_and_the_end_is_told() {
    let database = TestDatabase::create().await;
    let supervisor = Supervisor::listening();
    let settings = supervisor.settings(&database);
    let daemon = settings.start().await;
    let ready = supervisor.hears("READY=1").await;
    assert!(
        ready.contains(&format!("STATUS=serving {}", daemon.address)),
        "{ready}"
    );
    let live = reqwest::get(format!("http://{}/livez", daemon.address)).await;
    assert_eq!(live.unwrap().status(), 200);
    daemon.terminate();
    let stopping = supervisor.hears("STOPPING=1").await;
    assert!(stopping.contains("STATUS=stopping"), "{stopping}");
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_is_fed_while_the_loops_turn_and_not_while_one_is_stuck() {
    let database = TestDatabase::create().await;
    let supervisor = Supervisor::listening();
    let settings = supervisor
        .settings(&database)
        .with("WATCHDOG_USEC", "400000")
        .with("RELAY_POLL_MS", "100")
        .with("SERVER_STUCK_AFTER_MS", "1000");
    let mut daemon = settings.start().await;
    // Before that, a slow start may hold it up as well.
    daemon.logged("this relay has the outbox").await;
    for _ in 0..3 {
        supervisor.hears("WATCHDOG=1").await;
    }
    supervisor.forget();
    // The relay waits for the table, as it would for a database that hangs.
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE transaction_outbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let is_told = |said: &str| said.contains("the relay is stuck");
    supervisor.hears_that("the relay is stuck", is_told).await;
    daemon
        .logged("a loop does not turn; the watchdog is not fed")
        .await;
    supervisor.forget();
    // While it is stuck, nothing is fed: only other words may come.
    let until = Instant::now() + Duration::from_secs(1);
    while let Ok(said) = tokio::time::timeout_at(until, supervisor.heard()).await {
        assert!(!said.contains("WATCHDOG=1"), "{said}");
    }
    blocker.rollback().await.unwrap();
    supervisor.hears("WATCHDOG=1").await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_refuses_no_connection_and_loses_nothing() {
    let (database, ledger) = with_wallets().await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let settings = Settings::new(database.url());
    let mut daemon = settings.start_on(&socket).await;
    assert_eq!(daemon.address, address.to_string());

    let callers = Callers::of(address);
    for _ in 0..3 {
        callers.are_answered(50).await;
        assert_eq!(daemon.stop().await, Some(0));
        daemon = settings.start_on(&socket).await;
    }
    callers.are_answered(50).await;
    let posted = callers.end().await;
    assert_eq!(daemon.stop().await, Some(0));
    let shop = read_wallet(database.pool(), &ledger, "shop", "NGN").await;
    assert_eq!(usize::try_from(shop.balance).unwrap(), posted);
}
