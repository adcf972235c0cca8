//! The operators' tool as a child process: it brings the schema up, tells what waits in the
//! outbox, and verifies the ledger.

use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::money::Currency;

/// Something was found wrong: an answer, not a failure.
const FOUND_WRONG: i32 = 4;

#[derive(Clone, Debug)]
pub(crate) struct Aegisctl {
    program: PathBuf,
    ledger: String,
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
    pub(crate) fn new(program: PathBuf, ledger: &str) -> Self {
        let ledger = ledger.to_owned();
        Self { program, ledger }
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
        let args = [
            "--ledger",
            &self.ledger,
            "-q",
            "-o",
            "jsonl",
            "outbox",
            "list",
            "--limit",
            "1",
        ];
        let output = self.run(&args).await?;
        if !output.status.success() {
            bail!("aegisctl outbox list: {}", said(&output));
        }
        Ok(!output.stdout.is_empty())
    }

    /// How many of the ledger's events still wait for the bus, by currency.
    pub(crate) async fn waiting_events(&self) -> Result<[u64; 3]> {
        let args = [
            "--ledger",
            &self.ledger,
            "-o",
            "jsonl",
            "outbox",
            "list",
            "--all",
        ];
        let output = self.run(&args).await?;
        if !output.status.success() {
            bail!("aegisctl outbox list: {}", said(&output));
        }
        let mut waiting = [0; 3];
        for line in output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let event: Value = serde_json::from_slice(line).context("aegisctl outbox list")?;
            let code = event["payload"]["entries"][0]["currency"]
                .as_str()
                .unwrap_or_default();
            let currency = Currency::from_code(code)
                .with_context(|| format!("an event in the outbox is of the currency {code:?}"))?;
            waiting[currency.index()] += 1;
        }
        Ok(waiting)
    }

    /// Verifies the ledger, every entry of it.
    pub(crate) async fn verify(&self) -> Result<Verification> {
        let args = ["ledger", "verify", "--ledger", &self.ledger, "-o", "json"];
        let output = self.run(&args).await?;
        if !output.status.success() && output.status.code() != Some(FOUND_WRONG) {
            bail!("aegisctl ledger verify: {}", said(&output));
        }
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("aegisctl ledger verify said {}", said(&output)))?;
        read(&report).with_context(|| format!("aegisctl ledger verify said {report}"))
    }

    async fn run(&self, args: &[&str]) -> Result<Output> {
        let output = Command::new(&self.program)
            .args(args)
            .kill_on_drop(true)
            .output()
            .await;
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
