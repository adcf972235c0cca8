//! `aegisctl` on a scene's database and simulator.

use std::process::Command;

use serde_json::Value;

use crate::common::ran::Ran;
use crate::scene::{KEY, Scene};

pub struct Tool<'a> {
    scene: &'a Scene,
    directory: tempfile::TempDir,
}

impl<'a> Tool<'a> {
    pub fn on(scene: &'a Scene) -> Self {
        Self {
            scene,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
            .env_clear()
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.scene.database.url())
            .env("REDIS_ADDRESS", "")
            .env("PAYSTACK_SECRET_KEY", KEY)
            .env("PAYSTACK_BASE_URL", self.scene.simulator.base_url())
            .envs(variables.iter().copied())
            .args(args)
            .output()
            .unwrap();
        Ran::of(output)
    }

    /// What it prints as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["-o", "json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.run(&args).exits(0).stdout).unwrap()
    }
}
