//! The real `aegisctl refund`, on a scene's database and simulator.

use std::process::Command;

use serde_json::Value;

use crate::common::ran::Ran;
use crate::scene::{AMOUNT, KEY, Scene};

struct Tool<'a> {
    scene: &'a Scene,
    directory: tempfile::TempDir,
}

impl<'a> Tool<'a> {
    fn on(scene: &'a Scene) -> Self {
        Self {
            scene,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
            .env_clear()
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.scene.database.url())
            .env("REDIS_ADDRESS", "")
            .env("PAYSTACK_SECRET_KEY", KEY)
            .env("PAYSTACK_BASE_URL", self.scene.simulator.base_url())
            .args(args)
            .output()
            .unwrap();
        Ran::of(output)
    }

    /// What it prints as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["-o", "json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.run(&args).exits(0).stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_from_the_wish_to_the_end() {
    let scene = Scene::new().await;
    let (tool, payment) = (Tool::on(&scene), scene.paid("p", AMOUNT).await);
    let id = payment.id.to_string();
    let wish = [
        "refund",
        "create",
        "--payment",
        &id,
        "--amount",
        "400.00",
        "--key",
        "k",
        "--note",
        "sorry",
    ];
    let made = tool.json(&wish);
    assert_eq!(made["status"], "requested");
    assert_eq!(made["amount"], 40_000);
    assert_eq!(tool.json(&wish)["id"], made["id"], "the same key");
    let refund = made["id"].as_str().unwrap();
    let sent = tool.json(&["refund", "requery", refund]);
    assert_eq!(sent["status"], "sent");
    let psp_id = sent["psp_id"].as_str().unwrap();
    scene.own(&format!("/refunds/{psp_id}/process"), "").await;
    assert_eq!(
        tool.json(&["refund", "requery", refund])["status"],
        "succeeded"
    );
    assert_eq!(
        tool.json(&["refund", "show", refund])["psp_status"],
        "processed"
    );
    let listed = tool.run(&["-o", "jsonl", "refund", "list", "--payment", &id]);
    assert!(listed.exits(0).stdout.contains(refund));
    let none = tool.run(&["-o", "jsonl", "refund", "list", "--status", "unknown"]);
    assert_eq!(none.exits(0).stdout, "");
    scene.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rules_no_is_exit_code_3_and_a_misread_amount_2() {
    let scene = Scene::new().await;
    let (tool, payment) = (Tool::on(&scene), scene.paid("p", AMOUNT).await);
    let id = payment.id.to_string();
    let too_much = ["refund", "create", "--payment", &id, "--minor", "100001"];
    let told = tool.run(&too_much).exits(3).stderr;
    assert!(
        told.contains("refund_exceeds_payment") || told.contains("left to refund"),
        "{told}"
    );
    let unknown = "0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f";
    tool.run(&["refund", "create", "--payment", unknown])
        .exits(3);
    tool.run(&["refund", "show", unknown]).exits(3);
    tool.run(&["refund", "requery", unknown]).exits(3);
    tool.run(&["refund", "create", "--payment", &id, "--amount", "400"])
        .exits(2);
    tool.run(&[
        "refund",
        "create",
        "--payment",
        &id,
        "--amount",
        "4.00",
        "--minor",
        "400",
    ])
    .exits(2);
    assert_eq!(scene.in_transit().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deciding_shows_a_plan_and_does_nothing_without_a_yes() {
    let scene = Scene::new().await;
    let (tool, payment) = (Tool::on(&scene), scene.paid("p", AMOUNT).await);
    let refund = scene.sent(&payment, "k", 40_000).await.id.to_string();
    let decide = [
        "refund",
        "resolve",
        &refund,
        "--as",
        "failed",
        "--reason",
        "ticket 4711",
    ];
    tool.run(&decide).exits(8);
    let dry: Vec<&str> = decide.iter().copied().chain(["--dry-run"]).collect();
    let plan = tool.json(&dry);
    assert_eq!(
        (&plan["as"], &plan["dry_run"]),
        (&"failed".into(), &true.into())
    );
    assert_eq!(scene.in_transit().await, 40_000);
    let yes: Vec<&str> = decide.iter().copied().chain(["--yes"]).collect();
    assert_eq!(tool.json(&yes)["status"], "failed");
    assert_eq!(tool.json(&yes)["status"], "failed", "the same word again");
    assert_eq!(scene.in_transit().await, 0);
    let other = [
        "refund",
        "resolve",
        &refund,
        "--as",
        "succeeded",
        "--reason",
        "x",
        "--yes",
    ];
    tool.run(&other).exits(3);
}
