//! `aegisctl merchant`.

use std::process::Command;

use crate::common::TestDatabase;
use crate::common::merchant::TERMS;
use crate::common::ran::Ran;

fn tool(database: &TestDatabase, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", database.url())
        .args(args)
        .output()
        .unwrap();
    Ran::of(output)
}

const CREATE: [&str; 7] = [
    "merchant",
    "create",
    "acme",
    "--name",
    "Acme",
    "--currency",
    "NGN",
];

fn create(database: &TestDatabase, terms: &str) -> Ran {
    let mut args = vec!["-o", "json"];
    args.extend(CREATE);
    args.extend(["--terms", terms]);
    tool(database, &args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_is_made_changed_and_frozen_with_a_yes() {
    let database = TestDatabase::create().await;
    let made = create(&database, TERMS).exits(0);
    assert_eq!(made.json()["terms"][0]["version"], 1, "{made:?}");
    create(&database, TERMS).exits(0).says("exists already");
    let other = TERMS.replace("150", "151");
    create(&database, &other).exits(3).says("merchant_exists");

    let policy = ["merchant", "policy", "acme", "--terms", &other];
    tool(&database, &policy)
        .exits(8)
        .says("fee.basis_points: 150 -> 151");
    let mut dry = policy.to_vec();
    dry.push("--dry-run");
    tool(&database, &dry).exits(0).says("nothing was done");
    let mut yes = vec!["-y", "-o", "json"];
    yes.extend(policy);
    assert_eq!(tool(&database, &yes).exits(0).json()["version"], 2);
    let history = ["-o", "json", "merchant", "policy", "acme", "--history"];
    let history = tool(&database, &history).exits(0).json();
    assert_eq!(history.as_array().unwrap().len(), 2, "{history}");

    let freeze = ["merchant", "freeze", "acme", "--reason", "ticket 1"];
    tool(&database, &freeze).exits(8).says("--yes");
    let mut yes = vec!["-y", "-o", "json"];
    yes.extend(freeze);
    assert_eq!(tool(&database, &yes).exits(0).json()["status"], "frozen");
    tool(&database, &yes).exits(0).says("frozen already");
    let shown = tool(&database, &["-o", "json", "merchant", "show", "acme"]).exits(0);
    assert_eq!(shown.json()["status"], "frozen");
    assert_eq!(shown.json()["wallets"].as_array().unwrap().len(), 4);
    let shown = tool(&database, &["merchant", "show", "acme"]).exits(0);
    for part in ["basis_points", "merchant:acme:owed", "frozen"] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let blank = ["-y", "merchant", "unfreeze", "acme", "--reason", " "];
    tool(&database, &blank).exits(2).says("reason");
    let listed = tool(&database, &["-o", "json", "merchant", "list"]).exits(0);
    assert_eq!(listed.json()[0]["id"], "acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_terms_and_unknown_merchants_are_refused_in_words() {
    let database = TestDatabase::create().await;
    let wrong = TERMS.replace("150", "10001").replace("UTC", "Mars");
    let refused = create(&database, &wrong).exits(2);
    refused
        .says("fee.basis_points")
        .says("settlement.time_zone");
    create(&database, "{\n  \"fee\":\n").exits(2).says("line 3");
    create(&database, "/no/such/file.json")
        .exits(2)
        .says("/no/such/file.json");
    let show = ["merchant", "show", "nobody"];
    tool(&database, &show).exits(3).says("merchant_not_found");
    tool(&database, &["merchant", "show", "No Body"])
        .exits(2)
        .says("acme");
}
