//! `aegisctl payment`, without an aegisd.

use std::process::Command;

use serde_json::Value;

use crate::common::ran::Ran;
use crate::http::World;
use crate::scene::KEY;

struct Tool<'a> {
    world: &'a World,
    key: &'static str,
}

impl Tool<'_> {
    async fn run(&self, args: &[&str]) -> Ran {
        let (database, base) = (self.world.database.url(), self.world.simulator.base_url());
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
        command
            .args(["-o", "json", "payment"])
            .args(args)
            .env_clear()
            .env("DATABASE_URL", database)
            .env("REDIS_ADDRESS", "")
            .env("PAYSTACK_SECRET_KEY", self.key)
            .env("PAYSTACK_BASE_URL", base);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        Ran::of(output.await.unwrap())
    }
}

const CREATE: &[&str] = &[
    "create",
    "--merchant",
    "acme",
    "--currency",
    "NGN",
    "--amount",
    "10000.00",
    "--email",
    "ada@example.com",
    "--reference",
    "order-1",
    "--key",
    "k1",
];

#[tokio::test]
async fn payments_are_made_listed_shown_and_asked_about() {
    let mut world = World::with(|settings| settings, |options| options.webhook_url = None).await;
    world.daemon.kill();
    let tool = Tool {
        world: &world,
        key: KEY,
    };
    let made = tool.run(CREATE).await.exits(0).json();
    assert_eq!(made["status"], "pending");
    assert!(made["checkout_url"].is_string());
    let again = tool.run(CREATE).await.exits(0).json();
    assert_eq!(again, made);
    let shown = tool.run(&["show", "order-1"]).await.exits(0).json();
    assert_eq!(shown, made);
    world.pay("order-1").await;
    let asked = tool.run(&["requery", "order-1"]).await.exits(0).json();
    assert_eq!(asked["status"], "succeeded");
    assert_eq!(world.pending().await, 975_000);
    let list = tool
        .run(&["list", "--status", "succeeded"])
        .await
        .exits(0)
        .json();
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    let none = tool
        .run(&["list", "--merchant", "nobody"])
        .await
        .exits(0)
        .json();
    assert_eq!(none, Value::Array(Vec::new()));
}

#[tokio::test]
async fn what_is_not_possible_ends_with_its_code() {
    let mut world = World::with(|settings| settings, |options| options.webhook_url = None).await;
    world.daemon.kill();
    let tool = Tool {
        world: &world,
        key: KEY,
    };
    let other: Vec<&str> = CREATE
        .iter()
        .map(|arg| if *arg == "acme" { "nobody" } else { arg })
        .collect();
    let refused = tool.run(&other).await.exits(3).json();
    assert_eq!(refused["code"], "merchant_not_found");
    let missing = tool.run(&["show", "nothing"]).await.exits(3).json();
    assert_eq!(missing["code"], "payment_not_found");
    let keyless = Tool {
        world: &world,
        key: "",
    };
    keyless
        .run(CREATE)
        .await
        .exits(2)
        .says("psp_not_configured");
    let unclear: Vec<&str> = CREATE
        .iter()
        .map(|arg| if *arg == "10000.00" { "10000" } else { arg })
        .collect();
    tool.run(&unclear).await.exits(2);
}
