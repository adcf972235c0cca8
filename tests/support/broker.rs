//! A Kafka of a test's own that can be frozen, killed and cut off, from
//! `KAFKA_HOME/libs`.

use std::io::Write as _;
use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::sleep;

/// A broker and the proxy that its clients reach it through.
pub(crate) struct Broker {
    libs: String,
    folder: TempDir,
    process: Child,
    /// `host:port` for clients.
    pub(crate) address: String,
    line: Line,
    _alone: MutexGuard<'static, ()>,
}

/// A broker needs half a gigabyte and, while it starts, both cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

impl Broker {
    /// Starts one, or returns `None` without `KAFKA_HOME`.
    pub(crate) async fn start() -> Option<Self> {
        let Some(home) = std::env::var_os("KAFKA_HOME") else {
            let _ = writeln!(std::io::stderr(), "skipped: KAFKA_HOME is not set");
            return None;
        };
        let alone = ONE_AT_A_TIME.lock().await;
        let home = PathBuf::from(home);
        let libs = home.join("libs").join("*").display().to_string();
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
            .unwrap();
        assert!(formatted.success());
        let broker = Self {
            process: spawn(&libs, &folder),
            libs,
            folder,
            address: format!("127.0.0.1:{outside}"),
            line: Line::new(proxy, inside),
            _alone: alone,
        };
        Some(broker)
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
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Started again on the same data.
    pub(crate) fn revive(&mut self) {
        self.process = spawn(&self.libs, &self.folder);
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
    }
}

fn java(libs: &str, folder: &TempDir) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp", libs])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    java
}

fn spawn(libs: &str, folder: &TempDir) -> Child {
    java(libs, folder)
        .args(["kafka.Kafka", "server.properties"])
        .spawn()
        .unwrap()
}

fn free_port() -> u16 {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A proxy that can lose one direction, or all connections.
struct Line {
    deaf: Arc<AtomicBool>,
    cut: watch::Sender<u64>,
}

impl Line {
    fn new(listener: TcpListener, port: u16) -> Self {
        let line = Self {
            deaf: Arc::default(),
            cut: watch::Sender::new(0),
        };
        let (deaf, cut) = (Arc::clone(&line.deaf), line.cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cut = cut.subscribe();
                let deaf = Arc::clone(&deaf);
                tokio::spawn(async move {
                    // Refused as if nobody listened while the broker is down.
                    let Ok(broker) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_broker, to_broker) = broker.into_split();
                    let never = Arc::default();
                    tokio::select! {
                        () = pump(from_client, to_broker, never) => {}
                        () = pump(from_broker, to_client, deaf) => {}
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
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !lose.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // Lets what is on its way arrive before both ends close.
    sleep(Duration::from_millis(1)).await;
}
