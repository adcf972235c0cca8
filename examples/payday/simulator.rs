//! The PSP: `aegisctl simulator run` as a child process, and the routes that Paystack does not have.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::stage::aegisctl::Aegisctl;
use crate::stage::http::plain;

/// Everybody may know it: no money moves.
pub(crate) const SECRET_KEY: &str = "sk_test_payday";

const START: Duration = Duration::from_secs(20);

/// What goes wrong, and how often.
pub(crate) const FAULTS: [&str; 15] = [
    "timeout=1%",
    "server-error=2%",
    "cut=2%",
    "garbage=1%",
    "lost=1%",
    "rate-limit=1%",
    "slow=1%",
    "early=3%",
    "duplicate=10%",
    "reorder=10%",
    "late=5%",
    "forged=5%",
    "missing=2%",
    "failed=4%",
    "reversed=3%",
];

/// The provider. Clones talk to the same.
#[derive(Clone, Debug)]
pub(crate) struct Simulator {
    http: reqwest::Client,
    pub url: String,
    pub log: PathBuf,
}

/// A movement in its books: what it is about, and what it did to each account.
#[derive(Clone, Debug)]
pub(crate) struct Movement {
    pub kind: String,
    pub id: u64,
    pub reference: String,
    pub currency: String,
    pub at: String,
    pub changes: BTreeMap<String, i64>,
}

impl Movement {
    pub(crate) fn change(&self, account: &str) -> i64 {
        self.changes.get(account).copied().unwrap_or(0)
    }
}

impl Simulator {
    /// Starts it on a free port; webhooks go to that address.
    pub(crate) async fn start(
        aegisctl: &Aegisctl,
        seed: u64,
        webhook_url: &str,
        log: &Path,
    ) -> Result<(Child, Self)> {
        let seed = seed.to_string();
        let mut args = vec!["-o", "json", "simulator", "run", "--port", "0"];
        args.extend(["--secret-key", SECRET_KEY, "--webhook-url", webhook_url]);
        args.extend(["--webhook-retries", "1,1,1,2,4,8,16", "--seed", &seed]);
        args.extend(["--settle-after-ms", "100", "--late-ms", "700"]);
        for fault in FAULTS {
            args.extend(["--fault", fault]);
        }
        let file = File::create(log).with_context(|| format!("{} can't be written", log.display()));
        let mut child = with_log(&mut aegisctl.command(&args), file?)?;
        let stdout = child.stdout.take().context("it has no output")?;
        let url = tokio::time::timeout(START, serving(stdout)).await;
        let url = url.context("the simulator does not serve")?;
        let url = url.with_context(|| format!("the simulator's log: {}", log.display()))?;
        let simulator = Self {
            http: plain(32)?,
            url,
            log: log.to_owned(),
        };
        Ok((child, simulator))
    }

    /// An account that payouts go to.
    pub(crate) async fn recipient(&self, name: &str, currency: &str) -> Result<String> {
        let body = json!({
            "type": if currency == "NGN" { "nuban" } else { "ghipss" },
            "name": name,
            "account_number": format!("{:010}", fastrand::u32(..)),
            "bank_code": "058",
            "currency": currency,
        });
        // Its faults hit this call, too, and an account made known twice is one recipient.
        for _ in 0..20 {
            let request = self.http.post(format!("{}/transferrecipient", self.url));
            let request = request.bearer_auth(SECRET_KEY).json(&body);
            let request = request.timeout(Duration::from_secs(1));
            if let Ok(response) = request.send().await
                && let Ok(answer) = response.json::<Value>().await
                && let Some(code) = answer["data"]["recipient_code"].as_str()
            {
                return Ok(code.to_owned());
            }
        }
        bail!("the simulator makes no recipient for {name}")
    }

    /// A customer pays what was asked for, or another amount.
    pub(crate) async fn pay(&self, reference: &str, amount: Option<i64>) -> Result<()> {
        let body = amount.map_or(json!({}), |amount| json!({"amount": amount}));
        let path = format!("checkout/{reference}/pay");
        let answer = self.ask(Method::POST, &path, Some(&body)).await;
        match answer {
            Ok(_) => Ok(()),
            // As early webhooks have it: the customer was that fast.
            Err(error) if format!("{error:#}").contains("already") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Something that a person does by hand, such as `checkout/R/fail`.
    pub(crate) async fn act(&self, path: &str) -> Result<Value> {
        self.ask(Method::POST, path, None).await
    }

    /// A customer complains.
    pub(crate) async fn dispute(&self, reference: &str, amount: i64) -> Result<u64> {
        let body = json!({"reference": reference, "amount": amount});
        let answer = self.ask(Method::POST, "disputes", Some(&body)).await?;
        let id = answer["id"].as_u64();
        id.with_context(|| format!("the simulator answers {answer}"))
    }

    /// How often each fault happened.
    pub(crate) async fn happened(&self) -> Result<BTreeMap<String, u64>> {
        let answer = self.ask(Method::GET, "faults", None).await?;
        let faults = answer["faults"].as_array().cloned().unwrap_or_default();
        let read = |fault: &Value| {
            let name = fault["fault"].as_str()?.to_owned();
            Some((name, fault["happened"].as_u64()?))
        };
        Ok(faults.iter().filter_map(read).collect())
    }

    /// Balances and counts.
    pub(crate) async fn books(&self) -> Result<Value> {
        self.ask(Method::GET, "books", None).await
    }

    /// Every movement, the oldest first.
    pub(crate) async fn movements(&self) -> Result<Vec<Movement>> {
        let books = self.ask(Method::GET, "books?entries=true", None).await?;
        let entries = books["entries"].as_array().context("no entries")?;
        let movement = |entry: &Value| {
            let text = |name: &str| Some(entry[name].as_str()?.to_owned());
            let mut changes = BTreeMap::new();
            for posting in entry["postings"].as_array()? {
                let account = posting[0].as_str()?.to_owned();
                *changes.entry(account).or_insert(0) += posting[1].as_i64()?;
            }
            Some(Movement {
                kind: text("type")?,
                id: entry["id"].as_u64()?,
                reference: text("reference")?,
                currency: text("currency")?,
                at: text("at")?,
                changes,
            })
        };
        let movements: Option<Vec<Movement>> = entries.iter().map(movement).collect();
        movements.context("the simulator's entries can't be read")
    }

    /// The settlement export.
    pub(crate) async fn export(&self) -> Result<String> {
        let url = format!("{}/simulator/settlement.csv", self.url);
        Ok(self.http.get(url).send().await?.text().await?)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}/simulator/{path}", self.url);
        let mut request = self.http.request(method, &url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(answer),
            _ => Err(anyhow!("{path} is answered with {status}: {answer}")),
        }
    }
}

fn with_log(command: &mut Command, log: File) -> Result<Child> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // Ctrl-C is for the demo to hear, which then stops its child.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    child.context("aegisctl can't be run")
}

/// Reads its first record, which names its address.
async fn serving(stdout: tokio::process::ChildStdout) -> Result<String> {
    let mut lines = BufReader::new(stdout).lines();
    let mut text = String::new();
    while let Some(line) = lines.next_line().await? {
        text.push_str(&line);
        if let Ok(record) = serde_json::from_str::<Value>(&text) {
            let url = record["base_url"].as_str();
            return Ok(url.with_context(|| format!("it says {record}"))?.to_owned());
        }
    }
    bail!("it ended at once")
}
