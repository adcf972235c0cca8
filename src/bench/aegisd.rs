//! The real daemon as a child process, on a free port.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sqlx::ConnectOptions;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::BenchError;
use super::scratch::Scratch;

pub(super) struct Aegisd {
    child: Child,
    pub address: String,
}

impl Aegisd {
    /// Starts the `aegisd` that lies beside this program, with the local bus and without Redis.
    pub(super) async fn start(scratch: &Scratch) -> Result<Self, BenchError> {
        Self::start_with(scratch, &[]).await
    }

    /// The same with variables that say otherwise.
    pub(super) async fn start_with(
        scratch: &Scratch,
        variables: &[(&str, &str)],
    ) -> Result<Self, BenchError> {
        let program = beside_this_program()?;
        let mut child = Command::new(&program)
            .env(
                "DATABASE_URL",
                scratch.settings.options.to_url_lossy().as_str(),
            )
            .env("BUS", "local")
            .env("REDIS_ADDRESS", "")
            .env("PRIMARY_ENV", "development")
            .env("LOG_FORMAT", "json")
            .env("RUST_LOG", "warn,aegis::daemon=info")
            .envs(variables.iter().copied())
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take();
        let stderr = stderr.ok_or_else(|| BenchError::Unexpected("no standard error".into()))?;
        let mut lines = BufReader::new(stderr).lines();
        let address = tokio::time::timeout(Duration::from_secs(30), async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = serving_on(&line) {
                    return Ok(address);
                }
            }
            Err(BenchError::Unexpected(format!(
                "{} did not start",
                program.display()
            )))
        });
        let address = address
            .await
            .map_err(|_| BenchError::Unexpected("aegisd did not start in 30 s".to_owned()))??;
        // Read on, so that its log never blocks it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, address })
    }

    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.child.kill().await?;
        Ok(())
    }
}

fn beside_this_program() -> Result<PathBuf, BenchError> {
    let program = std::env::current_exe()?.with_file_name("aegisd");
    if program.exists() {
        return Ok(program);
    }
    Err(BenchError::Unexpected(format!(
        "{} is not there; build it with: cargo build --release --bins",
        program.display()
    )))
}

fn serving_on(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line.get("message")? == "serving").then(|| line.get("address")?.as_str().map(str::to_owned))?
}
