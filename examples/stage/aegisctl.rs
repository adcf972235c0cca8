//! The operators' tool as a child process.

use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

/// Something was found wrong: an answer, not a failure.
const FOUND_WRONG: i32 = 4;

#[derive(Clone, Debug)]
pub(crate) struct Aegisctl {
    program: PathBuf,
    ledger: String,
    /// Settings for it.
    environment: Vec<(&'static str, String)>,
}

/// What `ledger verify` said.
#[derive(Debug)]
pub(crate) struct Verification {
    pub ok: bool,
    pub transactions: u64,
    pub entries: u64,
    pub wallets: u64,
    pub seconds: f64,
    pub checks: Vec<Check>,
}

#[derive(Debug)]
pub(crate) struct Check {
    pub name: String,
    pub ok: bool,
    pub checked: u64,
    pub violations: u64,
    /// Where the first violation is and how to look at it.
    pub first: Option<String>,
}

impl Aegisctl {
    pub(crate) fn new(
        program: PathBuf,
        ledger: &str,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        let ledger = ledger.to_owned();
        Self {
            program,
            ledger,
            environment,
        }
    }

    /// Brings the database to the programs' schema.
    pub(crate) async fn migrate_up(&self) -> Result<()> {
        let output = self.run(&["migrate", "up"]).await?;
        if !output.status.success() {
            bail!("aegisctl migrate up: {}", said(&output));
        }
        Ok(())
    }

    /// Whether any of the ledger's events still waits for the bus.
    pub(crate) async fn events_wait(&self) -> Result<bool> {
        let output = self
            .run(&["-q", "-o", "jsonl", "outbox", "list", "--limit", "1"])
            .await?;
        if !output.status.success() {
            bail!("aegisctl outbox list: {}", said(&output));
        }
        Ok(!output.stdout.is_empty())
    }

    /// The ledger's events that still wait for the bus.
    pub(crate) async fn waiting_events(&self) -> Result<Vec<Value>> {
        let output = self
            .run(&["-o", "jsonl", "outbox", "list", "--all"])
            .await?;
        if !output.status.success() {
            bail!("aegisctl outbox list: {}", said(&output));
        }
        let lines = output.stdout.split(|&byte| byte == b'\n');
        let events: serde_json::Result<_> = lines
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect();
        events.context("aegisctl outbox list")
    }

    /// Verifies the ledger, every entry of it.
    pub(crate) async fn verify(&self) -> Result<Verification> {
        let output = self.run(&["ledger", "verify", "-o", "json"]).await?;
        if !output.status.success() && output.status.code() != Some(FOUND_WRONG) {
            bail!("aegisctl ledger verify: {}", said(&output));
        }
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("aegisctl ledger verify said {}", said(&output)))?;
        read(&report).with_context(|| format!("aegisctl ledger verify said {report}"))
    }

    /// The tool with these arguments, on the ledger.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env("AEGIS_LEDGER", &self.ledger)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .kill_on_drop(true);
        command
    }

    async fn run(&self, args: &[&str]) -> Result<Output> {
        let output = self.command(args).output().await;
        output.with_context(|| format!("{} can't be run", self.program.display()))
    }
}

fn read(report: &Value) -> Option<Verification> {
    let check = |check: &Value| {
        Some(Check {
            name: check["name"].as_str()?.to_owned(),
            ok: check["ok"].as_bool()?,
            checked: check["checked"].as_u64()?,
            violations: check["violations"].as_u64()?,
            first: (!check["first"].is_null()).then(|| first(&check["first"])),
        })
    };
    Some(Verification {
        ok: report["ok"].as_bool()?,
        transactions: report["transactions"].as_u64()?,
        entries: report["entries"].as_u64()?,
        wallets: report["wallets"].as_u64()?,
        seconds: report["seconds"].as_f64()?,
        checks: report["checks"]
            .as_array()?
            .iter()
            .map(check)
            .collect::<Option<_>>()?,
    })
}

/// The first violation in words, where it has some.
fn first(violation: &Value) -> String {
    let text = |name: &str| violation[name].as_str().map(str::to_owned);
    match (text("problem"), text("look")) {
        (Some(problem), Some(look)) => format!("{problem}; look with: {look}"),
        _ => violation.to_string(),
    }
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    format!("{} {}", output.status, said.trim())
}
