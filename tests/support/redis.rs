//! A Redis of a test's own that can be stopped and started again, from the system's binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use super::PATIENCE;
use super::daemon::{ended, signal};
use super::port::free_port;

/// A server that keeps nothing; gone when dropped.
pub(crate) struct Redis {
    port: u16,
    process: Option<Child>,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Self {
        let mut redis = Self {
            port: free_port(),
            process: None,
            folder: tempfile::tempdir().unwrap(),
        };
        redis.revive().await;
        redis
    }

    /// `host:port`, also while it is stopped.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stopped in order; its clients are cut off.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        signal(&process, "-TERM");
        ended(&mut process).await;
    }

    /// Holds still from now on: it takes connections, and answers nobody.
    pub(crate) fn freeze(&self) {
        signal(self.process.as_ref().expect("it runs"), "-STOP");
    }

    /// Goes on.
    pub(crate) fn thaw(&self) {
        signal(self.process.as_ref().expect("it runs"), "-CONT");
    }

    /// Runs a command on it.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(format!("redis://{}", self.address())).unwrap();
        // Its own bounds are too short for a slow machine; the whole has one.
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let mut asked = redis::cmd(command[0]);
        command[1..].iter().for_each(|word| {
            asked.arg(*word);
        });
        let asking = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            asked.query_async(&mut connection).await
        };
        let answer: redis::RedisResult<T> = timeout(PATIENCE, asking).await.expect("it answers");
        answer.unwrap()
    }

    /// Starts it where it was and waits until it answers.
    pub(crate) async fn revive(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--logfile", "log"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server runs: install it, or let dev/stack up do so");
        self.process = Some(process);
        let started = Instant::now();
        while self.info("server").await.is_none() {
            let process = self.process.as_mut().expect("it was started");
            let ended = process.try_wait().unwrap();
            let patience = ended.is_none() && started.elapsed() < PATIENCE;
            assert!(patience, "Redis does not start: {ended:?}\n{}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many PINGs it has answered since it was started; none of them is ours.
    pub(crate) async fn pings(&self) -> u64 {
        let stats = self.info("commandstats").await.expect("it answers");
        let Some((_, calls)) = stats.split_once("cmdstat_ping:calls=") else {
            return 0;
        };
        let digits = calls.split(',').next().unwrap_or_default();
        digits.parse().expect("calls are a number")
    }

    /// A section of what it tells about itself; `None` where it isn't there.
    async fn info(&self, section: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).await.ok()?;
        let ask = format!("INFO {section}\r\nQUIT\r\n");
        stream.write_all(ask.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.starts_with('$').then_some(answer)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
