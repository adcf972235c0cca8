//! What operators and cron do: `aegisctl` settles, pays out, reconciles, traces.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::money::Currency;
use crate::simulator::Simulator;
use crate::stage::aegisctl::Aegisctl;

/// Runs the tool to its end: its exit code and its JSON, null where it printed none.
async fn run(aegisctl: &Aegisctl, args: &[&str]) -> Result<(i32, Value)> {
    let output = aegisctl.command(args).output().await;
    let output = output.context("aegisctl can't be run")?;
    let code = output.status.code().unwrap_or(-1);
    let json = match output.stdout.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&output.stdout)
            .with_context(|| format!("aegisctl {} said {}", args.join(" "), said(&output)))?,
    };
    if code == 1 || code == 2 || code == 7 {
        bail!("aegisctl {} ended with {}", args.join(" "), said(&output));
    }
    Ok((code, json))
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    format!(
        "{}: {} {}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// All items of a list, such as `refund list`.
pub(crate) async fn list(aegisctl: &Aegisctl, noun: &str) -> Result<Vec<Value>> {
    let args = ["-q", "-o", "jsonl", noun, "list", "--all"];
    let output = aegisctl.command(&args).output().await;
    let output = output.context("aegisctl can't be run")?;
    if !output.status.success() {
        bail!("aegisctl {} ended with {}", args.join(" "), said(&output));
    }
    let lines = output.stdout.split(|&byte| byte == b'\n');
    let items: serde_json::Result<_> = lines
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect();
    items.with_context(|| format!("aegisctl {}", args.join(" ")))
}

/// A settlement run: what it says.
pub(crate) async fn settle(aegisctl: &Aegisctl) -> Result<Value> {
    let (code, said) = run(aegisctl, &["-y", "-o", "json", "settlement", "run"]).await?;
    match code {
        0 => Ok(said),
        _ => bail!("aegisctl settlement run ended with {code}: {said}"),
    }
}

/// Has the PSP asked about a payout until it says that it came back: some questions go unanswered.
pub(crate) async fn ask_until_returned(aegisctl: &Aegisctl, id: &str) -> Result<()> {
    for _ in 0..20 {
        let (_, said) = run(aegisctl, &["-y", "-o", "json", "payout", "requery", id]).await?;
        if said["status"] == "returned" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("payout {id} came back by the statement, and the PSP doesn't say so when it is asked")
}

/// A payout run of a currency.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub key: String,
    pub currency: Currency,
    /// Transfers that the PSP had when the run was killed; none where it lived.
    pub killed_after: Option<u64>,
    /// Exit codes of the starts that came after.
    pub codes: Vec<i32>,
    /// What the last one said.
    pub said: Value,
}

impl Run {
    pub(crate) fn count(&self, name: &str) -> i64 {
        self.said[name].as_i64().unwrap_or(-1)
    }
}

/// Starts a payout run, kills it half-way where `kill` says so, starts it again until it is done,
/// and then once more, as a second cron job would.
pub(crate) async fn pay_out(
    aegisctl: &Aegisctl,
    simulator: &Simulator,
    key: String,
    currency: Currency,
    kill: Option<u64>,
) -> Result<Run> {
    let args = [
        "-y",
        "-o",
        "json",
        "payout",
        "run",
        "start",
        "--key",
        &key,
        "--due",
        "--currency",
        currency.code(),
    ];
    let mut run = Run {
        killed_after: None,
        codes: Vec::new(),
        said: Value::Null,
        currency,
        key: key.clone(),
    };
    if let Some(after) = kill {
        let before = transfers(simulator).await?;
        let mut child = aegisctl
            .command(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        while child.try_wait()?.is_none() {
            let sent = transfers(simulator).await? - before;
            if sent >= after {
                child.kill().await?;
                run.killed_after = Some(sent);
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for _ in 0..2 {
        let (code, said) = self::run(aegisctl, &args).await?;
        run.codes.push(code);
        run.said = said;
    }
    Ok(run)
}

async fn transfers(simulator: &Simulator) -> Result<u64> {
    Ok(simulator.books().await?["transfers"].as_u64().unwrap_or(0))
}

/// What came of holding the PSP's export against the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Reconciled {
    pub code: i32,
    pub said: Value,
}

/// Reconciles a file of the PSP's.
pub(crate) async fn reconcile(aegisctl: &Aegisctl, file: &Path) -> Result<Reconciled> {
    let file = file.to_string_lossy();
    let args = [
        "-y",
        "-o",
        "json",
        "reconcile",
        "run",
        "--psp",
        "paystack",
        "--file",
        &file,
    ];
    let (code, said) = run(aegisctl, &args).await?;
    Ok(Reconciled { code, said })
}

/// What stands in the clearing wallets, and since when.
pub(crate) async fn clearing(aegisctl: &Aegisctl) -> Result<Reconciled> {
    let (code, said) = run(aegisctl, &["-o", "json", "reconcile", "clearing"]).await?;
    Ok(Reconciled { code, said })
}

/// What is known of a payment, in order of time.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub reference: String,
    pub moments: Vec<Moment>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub at: String,
    pub what: String,
    pub state: String,
    pub amount: Option<i64>,
}

/// Follows a payment.
pub(crate) async fn trace(aegisctl: &Aegisctl, reference: &str) -> Result<Trace> {
    let (_, said) = run(aegisctl, &["-q", "-o", "json", "trace", reference]).await?;
    let moments = said["moments"].as_array().cloned().unwrap_or_default();
    let moment = |moment: &Value| {
        let text = |name: &str| moment[name].as_str().unwrap_or_default().to_owned();
        Moment {
            at: text("at"),
            what: text("what"),
            state: text("state"),
            amount: moment["amount"].as_i64(),
        }
    };
    Ok(Trace {
        reference: reference.to_owned(),
        moments: moments.iter().map(moment).collect(),
    })
}
