//! `aegisctl reconcile` as people and scripts meet it.

use std::process::Command;

use crate::common::ran::Ran;
use crate::scene::{HEADER, Scene, payment};

struct Tool<'a> {
    scene: &'a Scene,
    directory: tempfile::TempDir,
}

impl Tool<'_> {
    fn on(scene: &Scene) -> Tool<'_> {
        let directory = tempfile::tempdir().unwrap();
        Tool { scene, directory }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_as("ann", args)
    }

    /// As somebody who became root by sudo.
    fn run_as(&self, who: &str, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
            .env_clear()
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.scene.database.url())
            .env("REDIS_ADDRESS", "")
            .env("SUDO_USER", who)
            .args(args)
            .output()
            .unwrap();
        Ran::of(output)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }
}

const RUN: [&str; 6] = ["reconcile", "run", "--psp", "paystack", "--file", "s.csv"];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_by_its_exit_code_how_it_went() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    let tool = Tool::on(&scene);
    tool.file("s.csv", &format!("{HEADER}{}\n", payment("a", 1_000)));
    let args: Vec<&str> = ["-o", "json"].iter().chain(&RUN).copied().collect();
    let told = tool.run(&args).exits(0).json();
    assert_eq!((&told["lines"], &told["matched"]), (&1.into(), &1.into()));
    assert_eq!(told["open"], 0);
    tool.file("s.csv", &format!("{HEADER}{}\n", payment("b", 1_000)));
    tool.run(&RUN).exits(4);
    // Cron tries again, and nothing got better.
    let told = tool.run(&args).exits(4).json();
    assert_eq!((&told["opened"], &told["open"]), (&0.into(), &1.into()));
    tool.run(&["reconcile", "clearing"]).exits(4);
    tool.file(
        "s.csv",
        &format!("{HEADER}{}\nbroken\n", payment("c", 1_000)),
    );
    let ran = tool.run(&RUN).exits(5);
    assert!(ran.stderr.contains("line 3"), "{}", ran.stderr);
    tool.file("s.csv", "a,b\n1,2\n");
    let ran = tool.run(&RUN).exits(2);
    assert!(ran.stderr.contains("nothing was done"), "{}", ran.stderr);
    tool.run(&["reconcile", "run", "--file", "s.csv"]).exits(2);
    tool.run(&[
        "reconcile",
        "run",
        "--psp",
        "paystack",
        "--file",
        "none.csv",
    ])
    .exits(2);
    let runs = tool
        .run(&["-o", "json", "reconcile", "runs"])
        .exits(0)
        .json();
    assert_eq!(runs.as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discrepancy_is_listed_shown_and_proposed_and_its_proposer_cannot_approve_it() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let line = "settlement,S1,NGN,-4000,0,2026-11-22T15:00:00Z,booked,,";
    tool.file("s.csv", &format!("{HEADER}{line}\n"));
    tool.run(&RUN).exits(4);
    let listed = tool
        .run(&["-o", "json", "reconcile", "list"])
        .exits(0)
        .json();
    assert_eq!(listed[0]["class"], "missing_here");
    assert!(listed[0]["age_seconds"].is_number());
    let id = listed[0]["id"].to_string();
    let shown = tool.run(&["reconcile", "show", &id]).exits(0);
    assert!(
        shown.stderr.contains("--transaction psp:paystack NGN 4000"),
        "{}",
        shown.stderr
    );
    tool.run(&["reconcile", "show", "4711"]).exits(3);
    let propose = [
        "reconcile",
        "resolve",
        &id,
        "--reason",
        "ticket 7",
        "--transaction",
        "psp:paystack",
        "NGN",
        "4000",
        "--transaction",
        "bank:main",
        "NGN",
        "-4000",
    ];
    tool.run(&propose).exits(8);
    let args: Vec<&str> = ["--yes"].iter().chain(&propose).copied().collect();
    tool.run(&args).exits(0);
    let ran = tool
        .run(&["-o", "json", "-y", "reconcile", "resolve", &id, "--approve"])
        .exits(3);
    assert!(
        ran.stdout.contains("second_person_needed"),
        "{}",
        ran.stdout
    );
    let listed = tool.run(&["-o", "json", "reconcile", "list", "--status", "proposed"]);
    assert_eq!(listed.exits(0).json()[0]["reason"], "ticket 7");
    tool.run(&["reconcile", "list", "--status", "odd"]).exits(2);
    tool.run(&["reconcile", "list", "--class", "odd"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_of_the_proposal_that_was_seen() {
    let scene = Scene::new().await;
    scene.plain(&[&payment("nobody", 5)]).await;
    let tool = Tool::on(&scene);
    let id = scene.discrepancies().await[0].id.to_string();
    let propose = |reason: &str| {
        let args = [
            "-y",
            "-o",
            "json",
            "reconcile",
            "resolve",
            &id,
            "--reason",
            reason,
        ];
        let done = tool.run(&args).exits(0).json();
        done["proposal"]["hash"].as_str().unwrap().to_owned()
    };
    let (seen, now) = (propose("a test of ours"), propose("another"));
    let approve = |hash: &str| {
        let args = [
            "-y",
            "-o",
            "json",
            "reconcile",
            "resolve",
            &id,
            "--approve",
            "--proposal",
            hash,
        ];
        tool.run_as("ben", &args)
    };
    assert_eq!(approve(&seen).exits(3).json()["code"], "proposal_changed");
    let shown = tool.run(&["reconcile", "show", &id]).exits(0);
    assert!(
        shown
            .stderr
            .contains(&format!("--approve --proposal {now}")),
        "{}",
        shown.stderr
    );
    assert_eq!(approve(&now).exits(0).json()["status"], "resolved");
}
