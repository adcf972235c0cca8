//! The tool with a database and a directory of its own, and nothing else of the environment.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use sqlx::Row;

use crate::common::TestDatabase;
pub use crate::common::ran::{Ran, rows_of_csv};

/// The tool and what it works on.
pub struct Tool {
    pub database: TestDatabase,
    directory: tempfile::TempDir,
}

/// The binary with nothing of the environment.
pub fn aegisctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
    command.env_clear();
    command
}

/// Runs the binary without any database.
pub fn run_alone(args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let mut command = aegisctl();
    command.current_dir(directory.path()).args(args);
    command.envs(variables.iter().copied());
    Ran::of(command.output().unwrap())
}

impl Tool {
    /// On a migrated database.
    pub async fn new() -> Self {
        Self::on(TestDatabase::create().await)
    }

    /// On this database.
    pub fn on(database: TestDatabase) -> Self {
        Self {
            database,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// On a migrated database with a wallet for the outside world and some merchants'.
    pub async fn with_wallets(currency: &str) -> Self {
        let tool = Self::new().await;
        tool.wallet("world", currency, Some("none"));
        for merchant in ["merchant:a", "merchant:b"] {
            tool.wallet(merchant, currency, None);
        }
        tool
    }

    pub fn wallet(&self, address: &str, currency: &str, min_balance: Option<&str>) {
        let mut args = vec!["wallet", "create", address, "--currency", currency];
        args.extend(
            min_balance
                .into_iter()
                .flat_map(|minor| ["--min-balance", minor]),
        );
        self.run(&args).exits(0);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = aegisctl();
        command
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.database.url())
            .env("REDIS_ADDRESS", "")
            .args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs with this on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        use std::io::Write;
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let fed = std::thread::spawn(move || {
            // The tool may refuse the input before its end.
            drop(stdin.write_all(input.as_bytes()));
        });
        let ran = Ran::of(child.wait_with_output().unwrap());
        fed.join().unwrap();
        ran
    }

    /// Runs for JSON, which has to succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["-o", "json"].iter().chain(args).copied().collect();
        self.run(&args).exits(0).json()
    }

    /// A path in the tool's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the tool's directory.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file in the tool's directory.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A wallet's balance in minor units.
    pub fn balance(&self, address: &str) -> i64 {
        self.json(&["wallet", "show", address])["balance"]
            .as_i64()
            .unwrap()
    }

    /// How many transactions the database holds.
    pub async fn transactions(&self) -> i64 {
        let row = sqlx::query("SELECT count(*) FROM transactions")
            .fetch_one(self.database.pool())
            .await
            .unwrap();
        row.get(0)
    }
}
