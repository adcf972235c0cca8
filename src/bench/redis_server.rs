//! A Redis of a bench's own: what a bench leaves in one stays for a day.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::BenchError;

const PATIENCE: Duration = Duration::from_secs(10);

/// Killed when dropped.
pub(super) struct RedisServer {
    _child: Child,
    pub address: String,
}

impl RedisServer {
    /// Starts the machine's `redis-server`, which keeps nothing on disk.
    pub(super) async fn start() -> Result<Self, BenchError> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                BenchError::Unexpected(format!("redis-server can't be run: {error}; install it"))
            })?;
        let address = format!("127.0.0.1:{port}");
        let began = Instant::now();
        while TcpStream::connect(&address).await.is_err() {
            if began.elapsed() > PATIENCE {
                let message = format!("redis-server does not listen on {address}");
                return Err(BenchError::Unexpected(message));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Self {
            _child: child,
            address,
        })
    }
}
