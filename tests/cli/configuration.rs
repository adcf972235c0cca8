//! The configuration as the tool shows and refuses it.

use serde_json::Value;

use crate::support::run_alone;

fn setting(settings: &Value, key: &str) -> Value {
    let mut settings = settings.as_array().unwrap().iter();
    settings
        .find(|setting| setting["key"] == key)
        .unwrap()
        .clone()
}

#[test]
fn every_value_is_shown_with_its_origin_and_secrets_are_masked() {
    let variables = [
        ("DATABASE_URL", "postgres://me:hunter2@db:5433/books"),
        ("PAYSTACK_SECRET_KEY", "sk_hunter2"),
        ("REDIS_ADDRESS", "redis://:hunter2@cache:6379"),
    ];
    for format in ["table", "json", "jsonl", "csv"] {
        let args = ["-o", format, "-v", "--ledger", "eu", "config", "show"];
        let ran = run_alone(&args, &variables).exits(0);
        assert!(!ran.stdout.contains("hunter2"), "{format}: {}", ran.stdout);
        assert!(!ran.stderr.contains("hunter2"), "{format}: {}", ran.stderr);
    }
    let args = ["-o", "json", "--ledger", "eu", "config", "show"];
    let shown = run_alone(&args, &variables).exits(0).json();
    assert_eq!(setting(&shown, "ledger")["value"], "eu");
    assert_eq!(setting(&shown, "ledger")["origin"], "flag --ledger");
    assert_eq!(
        setting(&shown, "database.url")["value"],
        "postgres://me:***@db:5433/books"
    );
    let origin = setting(&shown, "database.url")["origin"].clone();
    assert_eq!(origin, "environment variable DATABASE_URL");
    assert_eq!(setting(&shown, "server.port")["origin"], "built-in default");
    assert_eq!(
        setting(&shown, "database.port")["superseded_by"],
        "database.url"
    );
}

#[test]
fn an_unknown_key_ends_every_command_with_2_and_the_nearest_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("aegis.yaml");
    std::fs::write(&file, "databse:\n  host: db\nserver:\n  port: 70000\n").unwrap();
    let path = file.to_str().unwrap();
    for verb in [&["config", "check"][..], &["wallet", "list"]] {
        let args: Vec<&str> = ["--config", path].iter().chain(verb).copied().collect();
        let ran = run_alone(&args, &[]).exits(2);
        assert_eq!(ran.stdout, "");
        for expected in [
            "databse",
            "nearest",
            "`database",
            "server.port",
            "aegis.yaml:4",
        ] {
            assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_good_configuration_is_checked_without_connecting() {
    let variables = [
        ("DATABASE_HOST", "no.such.host.invalid"),
        ("DATABASE_PROT", "1"),
    ];
    let ran = run_alone(&["-o", "json", "config", "check"], &variables).exits(0);
    assert_eq!(ran.json()["ok"], true);
    assert!(ran.stderr.contains("DATABASE_PORT"), "{}", ran.stderr);
}
