//! aegisd under systemd, which the tests play: told when it serves and stops, fed while it works,
//! and holding the socket while it starts anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

mod common;
mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::TestDatabase;
use common::ledger::{main_ledger, read_wallet, wallet};
use serde_json::json;
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

    async fn heard(&self) -> String {
        let mut bytes = [0; 4_096];
        let heard = timeout(PATIENCE, self.socket.recv(&mut bytes)).await;
        let length = heard.expect("the daemon says something").unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Waits for a message with this line.
    async fn hears(&self, line: &str) -> String {
        loop {
            let heard = self.heard().await;
            if heard.lines().any(|said| said == line) {
                return heard;
            }
        }
    }

    /// What has been said up to now is forgotten.
    fn forget(&self) {
        let mut bytes = [0; 4_096];
        while self.socket.try_recv(&mut bytes).is_ok() {}
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
    let settings = Settings::new(database.url()).with("NOTIFY_SOCKET", supervisor.place());
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
    let settings = Settings::new(database.url())
        .with("NOTIFY_SOCKET", supervisor.place())
        .with("WATCHDOG_USEC", "400000")
        .with("RELAY_POLL_MS", "100")
        .with("SERVER_STUCK_AFTER_MS", "1000");
    let mut daemon = settings.start().await;
    for _ in 0..3 {
        supervisor.hears("WATCHDOG=1").await;
    }
    // The relay waits for the table, as it would for a database that hangs.
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE transaction_outbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    daemon
        .logged("a loop does not turn; the watchdog is not fed")
        .await;
    let told = supervisor.heard();
    let mut told = told.await;
    while !told.contains("the relay is stuck") {
        told = supervisor.heard().await;
    }
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
    const CALLERS: usize = 8;
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let settings = Settings::new(database.url());
    let mut daemon = settings.start_on(&socket).await;
    assert_eq!(daemon.address, address.to_string());

    let (over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            tokio::spawn(async move {
                let url = format!("http://{address}/v1/ledgers/main/transfers");
                let body = json!({"source": "world", "destination": "shop", "currency": "NGN",
                    "amount": 1});
                let mut posted = 0_usize;
                while !over.load(Ordering::Relaxed) {
                    // A connection each: none is kept over the restart.
                    let client = reqwest::Client::new();
                    let request = client.post(&url).json(&body);
                    let request = request.header("Idempotency-Key", format!("{caller}-{posted}"));
                    let answer = request.send().await.expect("no connection is refused");
                    assert_eq!(answer.status(), 201);
                    posted += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                posted
            })
        })
        .collect();
    for _ in 0..3 {
        more(&answered, 50).await;
        assert_eq!(daemon.stop().await, Some(0));
        daemon = settings.start_on(&socket).await;
    }
    more(&answered, 50).await;
    over.store(true, Ordering::Relaxed);
    let mut posted = 0;
    for caller in callers {
        posted += caller.await.unwrap();
    }
    assert_eq!(daemon.stop().await, Some(0));
    let shop = read_wallet(database.pool(), &ledger, "shop", "NGN").await;
    assert_eq!(usize::try_from(shop.balance).unwrap(), posted);
}

/// Waits until so many more requests were answered.
async fn more(answered: &AtomicUsize, many: usize) {
    let wanted = answered.load(Ordering::Relaxed) + many;
    let until = Instant::now() + PATIENCE;
    while answered.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < until, "requests are answered");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_changes_while_it_runs_and_a_broken_file_changes_nothing() {
    let database = TestDatabase::create().await;
    let file = std::env::temp_dir().join(format!("aegis-{}.yaml", Uuid::now_v7().simple()));
    let log_by =
        |filter: &str| std::fs::write(&file, format!("log:\n  filter: {filter}\n")).unwrap();
    log_by("warn,aegis=info");
    let settings = Settings::new(database.url())
        .without("RUST_LOG")
        .with_argument("--config")
        .with_argument(file.to_str().unwrap());
    let mut daemon = settings.start().await;
    log_by("info,aegis=debug");
    daemon.hang_up();
    let line = daemon.logged("the configuration was read again").await;
    assert_eq!(line["filter"], "info,aegis=debug", "{line}");
    log_by("info,aegis=loud");
    daemon.hang_up();
    let line = daemon.logged("the configuration stays as it was").await;
    assert!(line["reason"].as_str().unwrap().contains("loud"), "{line}");
    assert_eq!(daemon.stop().await, Some(0));
    std::fs::remove_file(&file).unwrap();
}

/// A copy of the shipped units that names programs which exist here.
struct Units(PathBuf);

impl Units {
    fn copied() -> Self {
        let folder = std::env::temp_dir().join(format!("aegis-units-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
        for unit in std::fs::read_dir(shipped).unwrap() {
            let unit = unit.unwrap();
            let text = std::fs::read_to_string(unit.path()).unwrap();
            let text = text
                .replace("/usr/bin/aegisd", env!("CARGO_BIN_EXE_aegisd"))
                .replace("/usr/bin/aegisctl", env!("CARGO_BIN_EXE_aegisctl"))
                .replace("Documentation=man:", "# Documentation=man:");
            std::fs::write(folder.join(unit.file_name()), text).unwrap();
        }
        Self(folder)
    }

    fn all(&self) -> Vec<PathBuf> {
        let units = std::fs::read_dir(&self.0).unwrap();
        units.map(|unit| unit.unwrap().path()).collect()
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn systemd_finds_nothing_amiss_with_the_shipped_units() {
    let units = Units::copied();
    assert!(!units.all().is_empty());
    let mut tool = Command::new("systemd-analyze");
    let Ok(said) = tool.args(["verify", "--man=no"]).args(units.all()).output() else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let ours: Vec<&str> = words
        .lines()
        .filter(|line| line.contains("aegis"))
        .collect();
    assert!(said.status.success() && ours.is_empty(), "{words}");
}

#[test]
fn an_install_has_every_program_that_its_units_start_and_settings_that_hold() {
    let place = std::env::temp_dir().join(format!("aegis-install-{}", Uuid::now_v7().simple()));
    let built = Path::new(env!("CARGO_BIN_EXE_aegisd")).parent().unwrap();
    let installed = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install"))
        .args([&place, Path::new("/opt/aegis"), Path::new("/usr/lib")])
        .env("AEGIS_BUILT", built)
        .output()
        .unwrap();
    assert!(installed.status.success(), "{installed:?}");
    let mut started = 0;
    for unit in std::fs::read_dir(place.join("usr/lib/systemd/system")).unwrap() {
        let text = std::fs::read_to_string(unit.unwrap().path()).unwrap();
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix("ExecStart="))
        {
            // Behind a shell, where a unit has one work out its arguments.
            let mut words = line.split_whitespace();
            let program = words.find(|word| word.starts_with("/opt/aegis/"));
            let program = program.unwrap_or_else(|| panic!("{line}"));
            assert!(
                place.join(program.trim_start_matches('/')).is_file(),
                "{line}"
            );
            started += 1;
        }
    }
    assert!(started > 0, "units start something");
    let checked = Command::new(place.join("opt/aegis/bin/aegisctl"))
        .env_clear()
        .arg("--config")
        .arg(place.join("etc/aegis/default.yaml"))
        .args(["config", "check"])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    std::fs::remove_dir_all(&place).unwrap();
}
