//! A small ledger to tamper with.

use aegis::engine::Engine;
use aegis::ledger::{
    ChainLink, Command, Currency, Details, Ledger, LegDraft, Outcome, Wallet, chain_start,
};
use aegis::verify::{self, Check, Options, Progress, Report, Violation};
use sqlx::{AssertSqlSafe, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, post, read_wallet, transfer, verdict, wallet};

/// Five transactions on five wallets in two currencies.
///
/// | | world | a | b | world USD | a USD |
/// |---|---|---|---|---|---|
/// | t1 | -500 | 500 | | | |
/// | t2 | -300 | | 300 | | |
/// | t3 | | -100 | 100 | | |
/// | t4 | -30 | 10 | 20 | -5 | 5 |
/// | t5 | | 50 | -50 | | |
pub(crate) struct Book {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    /// Ids of the transactions, t1 at 0.
    pub(crate) transactions: Vec<Uuid>,
    /// The wallet `a` in NGN.
    pub(crate) a: Wallet,
}

impl Book {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        for (address, currency, min_balance) in [
            ("world", "NGN", None),
            ("a", "NGN", Some(0)),
            ("b", "NGN", Some(0)),
            ("world", "USD", None),
            ("a", "USD", Some(0)),
        ] {
            wallet(database.pool(), &ledger, address, currency, min_balance).await;
        }
        let engine = Engine::new(&database.settings(), "aegis.transactions");
        let mut transactions = Vec::new();
        for command in [
            transfer("t1", "world", "a", 500),
            transfer("t2", "world", "b", 300),
            transfer("t3", "a", "b", 100),
            journal("t4"),
            transfer("t5", "b", "a", 50),
        ] {
            let outcome = post(&engine, &ledger, command).await;
            let Outcome::Posted(receipt) = &outcome else {
                panic!("{}", verdict(&outcome))
            };
            transactions.push(receipt.transaction_id);
        }
        let a = read_wallet(database.pool(), &ledger, "a", "NGN").await;
        Self {
            database,
            ledger,
            transactions,
            a,
        }
    }

    pub(crate) async fn wallet(&self, address: &str) -> Wallet {
        read_wallet(self.database.pool(), &self.ledger, address, "NGN").await
    }

    pub(crate) async fn verify(&self) -> Report {
        verify::ledger(
            &self.database.settings(),
            &self.ledger,
            Options { connections: 2 },
            &Progress::default(),
            &CancellationToken::new(),
        )
        .await
        .unwrap()
    }

    /// Runs statements with the guards switched off. `$a` stands for the wallet `a` in NGN, `$t1`
    /// to `$t5` for the transactions.
    pub(crate) async fn tamper(&self, statements: &str) {
        let mut sql = statements.replace("$a", &format!("'{}'", self.a.id));
        for (n, id) in self.transactions.iter().enumerate() {
            sql = sql.replace(&format!("$t{}", n + 1), &format!("'{id}'"));
        }
        let tables = ["ledger_entries", "transactions", "wallets"];
        let switch = |state: &str| {
            tables
                .map(|table| format!("ALTER TABLE {table} {state} TRIGGER USER;"))
                .concat()
        };
        let script = format!("{} {sql}; {}", switch("DISABLE"), switch("ENABLE"));
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(self.database.pool())
            .await
            .unwrap();
    }

    /// Computes the balances and hashes of a wallet's entries anew, and its own to match.
    pub(crate) async fn rewrite_chain(&self, wallet: &Wallet) {
        let rows = sqlx::query(
            "SELECT version, transaction_id, amount FROM ledger_entries
             WHERE wallet_id = $1 ORDER BY version",
        )
        .bind(wallet.id)
        .fetch_all(self.database.pool())
        .await
        .unwrap();
        let (code, address) = (wallet.currency.code(), wallet.address.as_str());
        let mut balance = 0;
        let mut hash = chain_start(self.ledger.id, wallet.id, code, address);
        for row in &rows {
            let (version, amount): (i64, i64) = (row.get("version"), row.get("amount"));
            balance += amount;
            let link = ChainLink {
                wallet_id: wallet.id,
                version,
                transaction_id: row.get("transaction_id"),
                currency: wallet.currency,
                amount,
                balance_after: balance,
            };
            hash = link.hash(&hash);
            self.tamper(&format!(
                "UPDATE ledger_entries SET balance_after = {balance}, hash = '{}'
                 WHERE wallet_id = '{}' AND version = {version}",
                bytea(&hash),
                wallet.id
            ))
            .await;
        }
        self.tamper(&format!(
            "UPDATE wallets SET balance = {balance}, head_hash = '{}' WHERE id = '{}'",
            bytea(&hash),
            wallet.id
        ))
        .await;
    }
}

fn bytea(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{hex}")
}

/// Many legs in two currencies.
fn journal(key: &str) -> Command {
    let leg = |wallet: &str, currency: &str, amount| LegDraft {
        wallet: wallet.parse().unwrap(),
        currency: currency.to_owned(),
        amount,
    };
    let legs = [
        leg("world", "NGN", -30),
        leg("a", "NGN", 10),
        leg("b", "NGN", 20),
        leg("world", "USD", -5),
        leg("a", "USD", 5),
    ];
    assert!(Currency::from_code("USD").is_some());
    Command::journal(key.parse().unwrap(), &legs, Details::default())
}

/// The checks that failed, each with its number of violations.
pub(crate) fn failed(report: &Report) -> Vec<(&'static str, u64)> {
    let failed: Vec<_> = report
        .checks
        .iter()
        .inspect(|check| assert_eq!(check.ok, check.violations == 0 && check.first.is_none()))
        .filter(|check| !check.ok)
        .map(|check| (check.name.as_str(), check.violations))
        .collect();
    assert_eq!(report.ok, failed.is_empty());
    failed
}

/// Where a check found its first violation.
pub(crate) fn first(report: &Report, check: Check) -> Violation {
    report.check(check).unwrap().first.clone().unwrap()
}

/// The wallet and version of a check's first violation.
pub(crate) fn row(report: &Report, check: Check) -> (String, String, i64) {
    let first = first(report, check);
    (
        first.address.unwrap(),
        first.currency.unwrap(),
        first.version.unwrap(),
    )
}

/// A version of the wallet `a` in NGN.
pub(crate) fn of_a(version: i64) -> (String, String, i64) {
    ("a".to_owned(), "NGN".to_owned(), version)
}
