//! The real `aegisd` as a process of a test's own: started, listened to, told to stop, killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use super::PATIENCE;
use super::topic::settlements_of;

/// What a daemon is started with. Nothing of the test's own environment reaches it.
#[derive(Clone)]
pub(crate) struct Settings {
    variables: BTreeMap<&'static str, String>,
    arguments: Vec<String>,
}

impl Settings {
    /// Any free port, the local bus, PostgreSQL alone.
    pub(crate) fn new(database_url: &str) -> Self {
        let settings = Self {
            variables: BTreeMap::new(),
            arguments: Vec::new(),
        };
        settings
            .with("DATABASE_URL", database_url)
            .with("BUS", "local")
            .with("REDIS_ADDRESS", "")
            .with("LOG_FORMAT", "json")
            // A line a request would be most of the log.
            .with("RUST_LOG", "info,aegis::request=warn")
    }

    /// With events going to a topic of Kafka, and commands coming from the one beside it.
    pub(crate) fn with_kafka(self, brokers: &str, topic: &str) -> Self {
        self.with("BUS", "kafka")
            .with("KAFKA_BROKERS", brokers)
            .with("KAFKA_TOPIC_TRANSACTIONS", topic)
            .with("KAFKA_TOPIC_SETTLEMENTS", &settlements_of(topic))
            .with("KAFKA_CONSUMER_GROUP", topic)
    }

    /// With one variable more.
    pub(crate) fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.insert(variable, value.to_owned());
        self
    }

    /// Without a variable.
    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.variables.remove(variable);
        self
    }

    /// With an argument on its command line.
    pub(crate) fn with_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts a daemon and waits until it serves.
    pub(crate) async fn start(&self) -> Daemon {
        self.spawn().serving().await
    }

    /// Starts a daemon, and goes away from its standard error once it serves: what it logs from
    /// then on meets a closed pipe.
    pub(crate) async fn start_unheard(&self) -> Daemon {
        let daemon = self.spawn_heard_until(Some("serving")).serving().await;
        daemon.log.complete().await;
        daemon
    }

    /// Starts a daemon on a socket that the test holds, as systemd does, and waits until it serves.
    pub(crate) async fn start_on(&self, socket: &TcpListener) -> Daemon {
        self.spawn_on(socket).serving().await
    }

    /// Starts a daemon on a socket that the test holds.
    pub(crate) fn spawn_on(&self, socket: &TcpListener) -> Daemon {
        // The id of the process has to stand in its environment, which only itself knows.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\"",
            ])
            .arg(env!("CARGO_BIN_EXE_aegisd"))
            .stdin(OwnedFd::from(
                socket.try_clone().expect("a socket can be shared"),
            ));
        self.spawn_as(command, None)
    }

    /// Starts a daemon that is expected to end by itself.
    pub(crate) fn spawn(&self) -> Daemon {
        self.spawn_heard_until(None)
    }

    fn spawn_heard_until(&self, last: Option<&'static str>) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegisd"));
        command
            .args(["--port", "0"])
            .args(&self.arguments)
            .stdin(Stdio::null());
        self.spawn_as(command, last)
    }

    fn spawn_as(&self, mut command: Command, last: Option<&'static str>) -> Daemon {
        let mut process = command
            .env_clear()
            .envs(&self.variables)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("aegisd starts");
        let log = Log::of(process.stderr.take().expect("it is piped"), last);
        Daemon {
            process,
            log,
            address: String::new(),
        }
    }
}

/// A running `aegisd`; killed when dropped.
pub(crate) struct Daemon {
    process: Child,
    log: Log,
    /// `host:port` that it serves on.
    pub(crate) address: String,
}

impl Daemon {
    /// Waits until it serves.
    pub(crate) async fn serving(mut self) -> Self {
        let serving = self.logged("serving").await;
        let address = serving["address"].as_str().expect("the log names it");
        self.address = address.to_owned();
        self
    }

    /// Gone without a word, as by `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it is ours");
    }

    /// It hangs, its connections open.
    pub(crate) fn freeze(&self) {
        signal(&self.process, "-STOP");
    }

    /// It goes on where it was.
    pub(crate) fn thaw(&self) {
        signal(&self.process, "-CONT");
    }

    /// Asked to stop, as by systemd.
    pub(crate) fn terminate(&self) {
        signal(&self.process, "-TERM");
    }

    /// Asked to read its configuration again.
    pub(crate) fn hang_up(&self) {
        signal(&self.process, "-HUP");
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the process is there.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.try_wait().expect("it is ours").is_none()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        ended(&mut self.process).await
    }

    /// Asks it to stop and waits: its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.terminate();
        self.ended().await.code()
    }

    /// The first line with this message, as soon as it is there.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        let mut lines = self.log.lines.clone();
        let found = lines.wait_for(|lines| position(lines, message).is_some());
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(lines)) => {
                let at = position(&lines, message).expect("it was found");
                serde_json::from_str(&lines[at]).expect("it is JSON")
            }
            // The log ended: the process did.
            Ok(Err(_)) => panic!(
                "aegisd ended before it said {message:?}:\n{}",
                self.log.tail()
            ),
            Err(_) => panic!("aegisd never said {message:?}:\n{}", self.log.tail()),
        }
    }

    /// The line with this message that is the `nth`, from 1, as soon as it is there.
    pub(crate) async fn logged_again(&self, message: &str, nth: usize) -> Value {
        let mut lines = self.log.lines.clone();
        let found =
            lines.wait_for(|lines| lines.iter().filter(|line| says(line, message)).count() >= nth);
        let found = match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(lines)) => {
                let mut found = lines.iter().filter(|line| says(line, message));
                found.nth(nth - 1).cloned()
            }
            Ok(Err(_)) | Err(_) => None,
        };
        // The lines are let go of by here. Whoever holds them and asks for them again waits for
        // ever, once the next line waits for both.
        let Some(line) = found else {
            panic!(
                "aegisd did not say {message:?} {nth} times:\n{}",
                self.log.tail()
            );
        };
        serde_json::from_str(&line).expect("it is JSON")
    }

    /// Whether any line holds these words, in whatever place.
    pub(crate) fn log_holds(&self, words: &str) -> bool {
        self.log
            .lines
            .borrow()
            .iter()
            .any(|line| line.contains(words))
    }

    /// Whether a line with this message is there.
    pub(crate) fn has_logged(&self, message: &str) -> bool {
        position(&self.log.lines.borrow(), message).is_some()
    }

    /// All that it found worth a warning, or worse. What libraries say of each connection is not
    /// among it.
    pub(crate) fn warnings(&self) -> Vec<Value> {
        let lines = self.log.lines.borrow();
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line));
        let warns = |line: &Value| {
            let ours = line["target"].as_str().unwrap_or_default();
            ours.starts_with("aegis") && (line["level"] == "WARN" || line["level"] == "ERROR")
        };
        lines.filter_map(Result::ok).filter(warns).collect()
    }

    /// All lines up to now. Each has to be JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.log.lines.borrow();
        let lines = lines.iter().map(|line| match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => panic!("{line} is not JSON: {error}"),
        });
        lines.collect()
    }

    /// All lines with this message up to now.
    pub(crate) fn all_logged(&self, message: &str) -> Vec<Value> {
        let lines = self.log.lines.borrow();
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line));
        let lines = lines.filter_map(Result::ok);
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Waits for its end: the exit code, and what it said for a person.
    pub(crate) async fn last_words(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.ended().await.code();
        self.log.complete().await;
        let lines = self.log.lines.borrow().clone();
        let spoken = lines
            .iter()
            .filter_map(|line| line.strip_prefix("aegisd: "));
        (code, spoken.map(str::to_owned).collect())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let _ = writeln!(
                std::io::stderr(),
                "aegisd {} said last:\n{}",
                self.address,
                self.log.tail()
            );
        }
    }
}

fn position(lines: &[String], message: &str) -> Option<usize> {
    lines.iter().position(|line| says(line, message))
}

fn says(line: &str, message: &str) -> bool {
    // Most lines are others; few are worth parsing.
    line.contains(message)
        && serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"] == message)
}

/// The lines of a process's standard error, as they come. The channel closes with the last.
struct Log {
    lines: watch::Receiver<Vec<String>>,
}

impl Log {
    /// Reads up to the end, or to the line with this message.
    fn of(stderr: ChildStderr, last: Option<&'static str>) -> Self {
        let (send, lines) = watch::channel(Vec::new());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let ends = last.is_some_and(|last| says(&line, last));
                send.send_modify(|lines| lines.push(line));
                if ends {
                    return;
                }
            }
        });
        Self { lines }
    }

    async fn complete(&self) {
        let mut lines = self.lines.clone();
        while lines.changed().await.is_ok() {}
    }

    fn tail(&self) -> String {
        let lines = self.lines.borrow();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Sends a signal by its option of `kill`.
pub(crate) fn signal(process: &Child, signal: &str) {
    let id = process.id().to_string();
    let status = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(status.success(), "kill {signal} {id}");
}

/// Waits for the end of a process.
pub(crate) async fn ended(process: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = process.try_wait().expect("it is ours") {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "it does not end");
        sleep(Duration::from_millis(5)).await;
    }
}
