//! A Kafka of a test's own that can be frozen, killed and cut off, from
//! `KAFKA_HOME/libs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::sleep;

use super::PATIENCE;
use super::port::free_port;

/// What a broker says, in its folder.
const LOG: &str = "broker.log";

/// A broker and the proxy that its clients reach it through.
pub(crate) struct Broker {
    libs: String,
    folder: TempDir,
    process: Child,
    /// Where it listens, behind the proxy.
    port: u16,
    /// `host:port` for clients.
    pub(crate) address: String,
    line: Line,
    _alone: MutexGuard<'static, ()>,
}

/// A broker needs half a gigabyte and, while it starts, both cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

impl Broker {
    /// Starts one and waits until it takes connections.
    pub(crate) async fn start() -> Self {
        let home = std::env::var_os("KAFKA_HOME").expect(
            "KAFKA_HOME is set: run eval \"$(dev/stack env)\" first, or make test; a stack in \
             Docker has none, AEGIS_DEV_MODE=native dev/stack up fetches it",
        );
        let alone = ONE_AT_A_TIME.lock().await;
        let home = PathBuf::from(home);
        // Before the libraries, whose own logger is a silent one.
        let logging = home.join("logging").join("*");
        let libs = format!("{}:{}", logging.display(), home.join("libs/*").display());
        let folder = tempfile::tempdir().unwrap();
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let outside = proxy.local_addr().unwrap().port();
        let (inside, controller) = (free_port(), free_port());
        let config = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{outside}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n\
             offsets.topic.replication.factor=1\nlog.dirs={}\n",
            folder.path().join("data").display()
        );
        std::fs::write(folder.path().join("server.properties"), config).unwrap();
        let formatted = java(&libs, &folder)
            .args(["kafka.tools.StorageTool", "format", "-c"])
            .args(["server.properties", "-t", "AAAAAAAAAAAAAAAAAAAAAQ"])
            .status()
            .expect("java runs");
        assert!(formatted.success(), "{}", tail(&folder));
        let mut broker = Self {
            process: spawn(&libs, &folder),
            libs,
            folder,
            port: inside,
            address: format!("127.0.0.1:{outside}"),
            line: Line::new(proxy, inside),
            _alone: alone,
        };
        broker.listens().await;
        broker
    }

    /// The process stops answering; its connections stay open.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on where it was.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Gone without a word.
    pub(crate) fn kill(&mut self) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "the broker ended by itself: {ended:?}");
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Started again on the same data; waits until it takes connections.
    pub(crate) async fn revive(&mut self) {
        self.process = spawn(&self.libs, &self.folder);
        self.listens().await;
    }

    async fn listens(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            // Dropped by the panic, it says why.
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("the broker ended by itself: {status}");
            }
            assert!(started.elapsed() < PATIENCE, "the broker does not start");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Requests reach the broker and its answers reach nobody, until
    /// [`Broker::reconnect`].
    pub(crate) fn swallow_answers(&self) {
        self.line.deaf.store(true, Ordering::Relaxed);
    }

    /// All connections break; new ones work.
    pub(crate) fn reconnect(&self) {
        self.line.deaf.store(false, Ordering::Relaxed);
        self.line.cut.send_modify(|cuts| *cuts += 1);
    }

    /// From now on every message takes so much longer, in each direction.
    pub(crate) fn delay(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap();
        self.line.delay_ms.store(ms, Ordering::Relaxed);
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let said = tail(&self.folder);
            let _ = writeln!(std::io::stderr(), "{} said last:\n{said}", self.address);
        }
    }
}

/// The last lines of the broker's log.
fn tail(folder: &TempDir) -> String {
    let log = std::fs::read(folder.path().join(LOG)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn java(libs: &str, folder: &TempDir) -> Command {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join(LOG))
        .unwrap();
    let mut java = Command::new("java");
    java.args(["-Xmx384m", "-XX:TieredStopAtLevel=1"])
        .args(["-cp", libs])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    java
}

fn spawn(libs: &str, folder: &TempDir) -> Child {
    java(libs, folder)
        .args(["kafka.Kafka", "server.properties"])
        .spawn()
        .expect("java runs")
}

/// A proxy that can lose one direction, or all connections.
struct Line {
    deaf: Arc<AtomicBool>,
    delay_ms: Arc<AtomicU64>,
    cut: watch::Sender<u64>,
}

impl Line {
    fn new(listener: TcpListener, port: u16) -> Self {
        let line = Self {
            deaf: Arc::default(),
            delay_ms: Arc::default(),
            cut: watch::Sender::new(0),
        };
        let (deaf, cut) = (Arc::clone(&line.deaf), line.cut.clone());
        let delay_ms = Arc::clone(&line.delay_ms);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cut = cut.subscribe();
                let (deaf, delay_ms) = (Arc::clone(&deaf), Arc::clone(&delay_ms));
                tokio::spawn(async move {
                    // Refused as if nobody listened while the broker is down.
                    let Ok(broker) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_broker, to_broker) = broker.into_split();
                    let never = Arc::default();
                    tokio::select! {
                        () = pump(from_client, to_broker, never, &delay_ms) => {}
                        () = pump(from_broker, to_client, deaf, &delay_ms) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        line
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    lose: Arc<AtomicBool>,
    delay_ms: &AtomicU64,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let delay_ms = delay_ms.load(Ordering::Relaxed);
        if delay_ms > 0 {
            sleep(Duration::from_millis(delay_ms)).await;
        }
        if !lose.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // Lets what is on its way arrive before both ends close.
    sleep(Duration::from_millis(1)).await;
}
