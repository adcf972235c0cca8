//! Merchants with funds, a simulator that knows their recipient, and `aegisctl`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aegis::config::Secret;
use aegis::engine::Engine;
use aegis::ledger::{Currency, Ledger};
use aegis::psp::{Paystack, PaystackOptions, Psp};
use aegis::simulator::{Armed, Fault, Simulator, SimulatorOptions};
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, post, read_wallet, transfer, verdict};
use crate::common::merchant::merchant;
pub use crate::common::paystack::KEY;
use crate::common::paystack::account_of;
use crate::common::ran::Ran;

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// What the PSP has to begin with.
pub const AT_PSP: i64 = 1_000_000_000;

pub fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

pub struct Scene {
    pub database: TestDatabase,
    pub ledger: Ledger,
    pub simulator: Simulator,
    pub recipient: String,
    pub directory: tempfile::TempDir,
}

impl Scene {
    /// Transfers end as soon as the PSP has them.
    pub async fn new() -> Self {
        Self::settling(Some(Duration::ZERO)).await
    }

    /// Transfers end so long after the PSP has them; none: never by themselves.
    pub async fn settling(after: Option<Duration>) -> Self {
        let mut options = SimulatorOptions::new(Secret::new(KEY));
        options.balances = vec![(ngn(), AT_PSP)];
        options.settle_after = after;
        let simulator = Simulator::start(options).await.unwrap();
        let mut options = PaystackOptions::new(Secret::new(KEY));
        options.base_url = simulator.base_url();
        let recipient = account_of("Acme");
        let psp = Paystack::new(options).unwrap();
        let recipient = psp.create_recipient(&recipient).await.unwrap().code;
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        Self {
            database,
            ledger,
            simulator,
            recipient,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A merchant that is paid each day, with funds.
    pub async fn merchant(&self, id: &str, funds: i64) {
        let payout = format!(
            r#"{{"minimum": 1000, "schedule": "daily", "recipient": "{}"}}"#,
            self.recipient
        );
        self.merchant_with(id, "NGN", &payout).await;
        self.fund(id, funds).await;
    }

    /// A merchant with these terms of payout.
    pub async fn merchant_with(&self, id: &str, currency: &str, payout: &str) {
        let terms = format!(
            r#"{{"fee": {{"basis_points": 150, "fixed": 0}},
                "settlement": {{"days": 1, "calendar": "calendar", "time_zone": "UTC"}},
                "payout": {payout}}}"#
        );
        merchant(self.pool(), &self.ledger, id, currency, &terms).await;
    }

    /// Several merchants, `m1` and on, with the same funds.
    pub async fn merchants(&self, count: usize, funds: i64) -> Vec<String> {
        let names: Vec<String> = (1..=count).map(|n| format!("m{n}")).collect();
        for name in &names {
            self.merchant(name, funds).await;
        }
        names
    }

    pub async fn fund(&self, merchant: &str, amount: i64) {
        if amount > 0 {
            let engine = Engine::new(&self.database.settings(), "aegis.transactions");
            let to = format!("merchant:{merchant}:available");
            let funded = transfer(&Uuid::now_v7().to_string(), "psp:paystack", &to, amount);
            let posted = post(&engine, &self.ledger, funded).await;
            assert_eq!(verdict(&posted), "posted");
        }
    }

    /// A file of lines behind a header.
    pub fn file(&self, name: &str, lines: &[String]) -> String {
        let path = self.directory.path().join(name);
        let text = format!("merchant,currency,minor,reference\n{}\n", lines.join("\n"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A list that pays each merchant so much.
    pub fn list(&self, merchants: &[String], amount: i64) -> String {
        let lines: Vec<String> = merchants
            .iter()
            .map(|merchant| format!("{merchant},NGN,{amount},"))
            .collect();
        self.file(&format!("{}.csv", Uuid::now_v7()), &lines)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The tool, fast and with nothing else of the environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
        command
            .env_clear()
            .current_dir(self.directory.path())
            .envs(self.environment())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let own = |text: &str| text.to_owned();
        vec![
            ("DATABASE_URL", own(self.database.url())),
            ("REDIS_ADDRESS", String::new()),
            ("BUS", own("local")),
            ("PAYSTACK_SECRET_KEY", own(KEY)),
            ("PAYSTACK_BASE_URL", self.simulator.base_url()),
            ("PAYSTACK_TIMEOUT_MS", own("60000")),
            ("BACKOFF_FIRST_MS", own("20")),
            // The PSP's word that it knows nothing of a payout counts soon.
            ("PAYOUTS_SETTLING_MS", own("100")),
            ("PAYOUTS_ASK_EVERY_MS", own("100")),
            ("PAYOUT_RUN_CALLS_PER_SECOND", own("10000")),
            ("PAYOUT_RUN_PATIENCE_MS", own("300000")),
        ]
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        Ran::of(command.output().unwrap())
    }

    pub fn spawn_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        command.spawn().unwrap()
    }

    /// Starts a run of a list, without a question.
    pub fn start(&self, key: &str, file: &str) -> Ran {
        self.run(&start(key, file))
    }

    pub fn show(&self, key: &str) -> Value {
        let args = ["-o", "json", "payout", "run", "show", key];
        self.run(&args).exits(0).json()
    }

    pub fn arm(&self, fault: Fault, times: u32) {
        self.simulator.arm(Armed {
            times,
            ..Armed::next(fault)
        });
    }

    /// How many transfers the PSP has, and of how much.
    pub fn transfers(&self) -> (usize, i64) {
        self.simulator.with_books(|books| {
            let amounts = books.transfers().map(|transfer| transfer.amount);
            (books.transfers().count(), amounts.sum())
        })
    }

    pub async fn balance(&self, address: &str) -> i64 {
        read_wallet(self.pool(), &self.ledger, address, "NGN")
            .await
            .balance
    }

    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// Another day: leases of calls that died are over.
    pub async fn expire_leases(&self) {
        sqlx::query("UPDATE payouts SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
            .execute(self.pool())
            .await
            .unwrap();
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, query: &'static str) {
        let began = Instant::now();
        loop {
            let holds: bool = sqlx::query_scalar(query)
                .fetch_one(self.pool())
                .await
                .unwrap();
            if holds {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{what} never holds");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Events about runs, without their prefix, in order.
    pub async fn events(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT replace(event_type, 'aegis.payout_run.', '') FROM transaction_outbox
             WHERE event_type LIKE 'aegis.payout_run.%' ORDER BY id",
        )
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// Deeds about runs, without their prefix, with who did them, in order.
    pub async fn deeds(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT replace(action, 'payout_run.', ''), actor FROM audit_log
             WHERE action LIKE 'payout_run.%' ORDER BY id",
        )
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// Nobody has more or less than one payout an item, and the money agrees everywhere.
    pub async fn assert_paid_once(&self) {
        let twice = self
            .number(
                "SELECT count(*) FROM (
                     SELECT FROM payouts WHERE run_key IS NOT NULL
                     GROUP BY run_key, run_number HAVING count(*) > 1) t",
            )
            .await;
        assert_eq!(twice, 0);
        let open = self
            .number(
                "SELECT coalesce(sum(amount), 0)::bigint FROM payouts
                 WHERE status IN ('requested', 'sent', 'unknown')",
            )
            .await;
        assert_eq!(self.balance("payouts:in_transit").await, open);
        let (transfers, _) = self.transfers();
        let references = self.simulator.with_books(|books| {
            let all = books.transfers().map(|transfer| transfer.reference.clone());
            all.collect::<std::collections::BTreeSet<_>>().len()
        });
        assert_eq!(transfers, references, "no reference is paid twice");
        let payouts = self.number("SELECT count(*) FROM payouts").await;
        assert!(i64::try_from(transfers).unwrap() <= payouts);
    }
}

pub fn start<'a>(key: &'a str, file: &'a str) -> [&'a str; 10] {
    [
        "--yes", "-o", "json", "payout", "run", "start", "--key", key, "--file", file,
    ]
}

/// Waits where less than a minute is left until a day ends, or an evening begins at 18:00 UTC: what
/// is started now, and soon after again, falls on the same one.
pub async fn not_at_midnight() {
    // Both are at whole quarters of a day.
    let quarter = 6 * 3_600;
    let left = quarter - OffsetDateTime::now_utc().unix_timestamp() % quarter;
    if left < 60 {
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs())).await;
    }
}

/// The members that scripts rely on.
pub fn counts(run: &Value) -> [i64; 5] {
    ["count", "succeeded", "failed", "unknown", "waiting"].map(|name| {
        run[name]
            .as_i64()
            .unwrap_or_else(|| panic!("{name}: {run}"))
    })
}
