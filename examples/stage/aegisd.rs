//! The real daemon as a child process: started on a free port, killed without warning where the
//! story wants it, and asked to stop in the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);
/// How long it may take to stop; it gives up by itself before.
const STOP: Duration = Duration::from_secs(40);

/// The daemon, running or not.
#[derive(Debug)]
pub(crate) struct Aegisd {
    program: PathBuf,
    bus: &'static str,
    /// Settings beside its address and its bus.
    environment: Vec<(&'static str, String)>,
    pub log: PathBuf,
    child: Option<Child>,
    /// Where it listens; 0 takes any free one.
    port: u16,
    /// Whether it has run before.
    is_known: bool,
}

impl Aegisd {
    /// Not started yet.
    pub(crate) fn new(
        program: PathBuf,
        bus: &'static str,
        environment: Vec<(&'static str, String)>,
        log: PathBuf,
        port: u16,
    ) -> Self {
        Self {
            program,
            bus,
            environment,
            log,
            child: None,
            port,
            is_known: false,
        }
    }

    /// Starts it on its port, or on any free one that it then keeps, and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<String> {
        let log = match self.is_known {
            false => File::create(&self.log),
            true => File::options().append(true).open(&self.log),
        };
        let log = log.with_context(|| format!("{} can't be written", self.log.display()))?;
        let logged_before = log.metadata()?.len();
        let child = Command::new(&self.program)
            .args(["--host", "127.0.0.1", "--bus", self.bus])
            .args(["--port", &self.port.to_string()])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("LOG_FORMAT", "json")
            // Not a line for each of tens of thousands of requests.
            .env("RUST_LOG", "info,aegis::request=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the demo to hear, which then stops its child.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        self.child =
            Some(child.with_context(|| format!("{} can't be run", self.program.display()))?);
        let address = self.serving(logged_before).await?;
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        self.port = port.with_context(|| format!("aegisd serves at {address}"))?;
        self.is_known = true;
        Ok(address)
    }

    /// Waits for the line of its log that names its address.
    async fn serving(&mut self, logged_before: u64) -> Result<String> {
        let began = Instant::now();
        while began.elapsed() < START {
            if let Some(address) = address_in(&self.log, logged_before)? {
                return Ok(address);
            }
            let child = self.child.as_mut().context("aegisd was not started")?;
            if let Some(status) = child.try_wait()? {
                bail!("aegisd did not start ({status}): {}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!(
            "aegisd does not serve after {START:?}; its log: {}",
            self.log.display()
        )
    }

    /// As when the power goes: SIGKILL, no chance to say good-bye. Then it starts anew.
    pub(crate) async fn kill_and_start_again(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let child = self.child.as_mut().context("aegisd does not run")?;
        child.kill().await.context("aegisd can't be killed")?;
        self.start().await?;
        Ok(began.elapsed())
    }

    /// Asks it to stop, and waits until it has drained. Nothing to do where it doesn't run.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let Some(pid) = child.id() else {
            bail!("aegisd had ended by itself: {}", self.last_words());
        };
        // A shell's own `kill` is everywhere; SIGTERM has no safe call in the standard library.
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$1\"", "sh", &pid.to_string()])
            .status()
            .await;
        if !asked.is_ok_and(|status| status.success()) {
            child.kill().await?;
            bail!("aegisd could not be asked to stop");
        }
        let Ok(status) = tokio::time::timeout(STOP, child.wait()).await else {
            child.kill().await?;
            bail!(
                "aegisd did not stop within {STOP:?}; its log: {}",
                self.log.display()
            );
        };
        let status = status?;
        if !status.success() {
            bail!(
                "aegisd ended with {status} instead of 0: {}",
                self.last_words()
            );
        }
        Ok(())
    }

    /// The end of its log, for whom something failed.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().last().unwrap_or("(nothing)");
        format!("{last}\nits log: {}", self.log.display())
    }
}

fn address_in(log: &Path, from: u64) -> Result<Option<String>> {
    let text = std::fs::read(log)?;
    let new = text.get(usize::try_from(from)?..).unwrap_or_default();
    let serving = |line: &[u8]| {
        let line: Value = serde_json::from_slice(line).ok()?;
        let serves = line["message"] == "serving";
        serves.then(|| line["address"].as_str().map(str::to_owned))?
    };
    Ok(new.split(|&byte| byte == b'\n').find_map(serving))
}

/// A program that was built beside this one.
pub(crate) fn beside_this_program(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    // Examples lie one folder below the programs.
    let folder = me
        .parent()
        .and_then(Path::parent)
        .context("this program lies nowhere")?;
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(anyhow!(
        "{} is missing; build it with: cargo build --bins",
        program.display()
    ))
}
