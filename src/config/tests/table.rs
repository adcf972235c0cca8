//! What the table of keys promises, and that the shipped files keep to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::keys::KEYS;
use super::super::kind::Kind;
use super::*;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

#[test]
fn every_key_can_be_set_in_a_file_and_by_its_variable() {
    for key in KEYS {
        let (in_file, in_variable, shown) = match key.name {
            "primary_env" => continue,
            "bus" => ("kafka", "kafka", "kafka"),
            "locking" => ("redis", "redis", "redis"),
            "log.format" => ("text", "text", "text"),
            "log.filter" => ("debug", "debug", "debug"),
            "database.sslmode" => ("verify-ca", "verify-ca", "verify-ca"),
            "database.url" => (
                "postgres://x:y@z/w",
                "postgres://x:y@z/w",
                "postgres://x:***@z/w",
            ),
            "redis.address" => ("cache:1", "cache:1", "redis://cache:1"),
            "database.password"
            | "paystack.secret_key"
            | "telemetry.otlp_headers"
            | "telemetry.new_relic_license_key" => ("hunter2", "hunter2", "***"),
            "paystack.base_url" | "telemetry.otlp_endpoint" => {
                ("http://x:1", "http://x:1", "http://x:1")
            }
            "kafka.brokers" => ("a:1,b:2", "a:1,b:2", "a:1,b:2"),
            "backoff.waits"
            | "backoff.jitter_percent"
            | "payouts.calls_max"
            | "telemetry.sample_per_mille"
            | "payout_run.payouts_at_once" => ("17", "17", "17"),
            _ if key.kind.takes_integer() => ("1027", "1027", "1027"),
            _ => ("other", "other", "other"),
        };
        // Of the integers, only these have no room for 1027.
        if ["database.pool_connections_max", "breaker.failures_max"].contains(&key.name) {
            continue;
        }
        let text = match key.name.split_once('.') {
            Some((section, name)) => format!("{section}:\n  {name}: {in_file}\n"),
            None => format!("{}: {in_file}\n", key.name),
        };
        let directory = Directory::with(&[("default.yaml", &text)]);
        let from_file = load(&directory.sources()).unwrap();
        let from_variable = load(&environment(&[(key.variable, in_variable)])).unwrap();
        for loaded in [&from_file, &from_variable] {
            assert_eq!(
                setting(loaded, key.name).value.as_deref(),
                Some(shown),
                "{}",
                key.name
            );
        }
        assert_eq!(from_file.config, from_variable.config, "{}", key.name);
        assert_ne!(from_file.config, Config::default(), "{}", key.name);
    }
}

#[test]
fn both_ends_of_a_range_are_taken_and_the_next_integers_refused() {
    for key in KEYS {
        let Kind::Integer { min, max, .. } = key.kind else {
            continue;
        };
        let taken =
            |integer: i128| load(&environment(&[(key.variable, &integer.to_string())])).is_ok();
        let (min, max) = (i128::from(min), i128::from(max));
        assert!(taken(min) && taken(max), "{}", key.name);
        assert!(!taken(min - 1) && !taken(max + 1), "{}", key.name);
    }
}

#[test]
fn the_shipped_default_file_equals_the_built_in_defaults_and_names_every_key() {
    let text = fs::read_to_string(shipped("default.yaml")).unwrap();
    let sources = Sources {
        files: Files::Only(shipped("default.yaml")),
        ..sources()
    };
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config, Config::default());
    for key in KEYS {
        let is_set = setting(&loaded, key.name).origin != Origin::BuiltIn;
        let name = key.name.rsplit('.').next().unwrap();
        let is_commented = text.contains(&format!("# {name}: "));
        assert!(
            is_set || is_commented || key.name == "primary_env",
            "{}",
            key.name
        );
        assert!(text.contains(key.variable), "{}", key.variable);
    }
}

#[test]
fn the_shipped_files_load_in_every_environment() {
    for primary_env in PrimaryEnv::ALL {
        let sources = Sources {
            files: Files::Directory(shipped("")),
            ..environment(&[("PRIMARY_ENV", primary_env.name())])
        };
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.files.len(), 2);
        assert_eq!(loaded.config.bus, Config::built_in(*primary_env, false).bus);
        assert!(loaded.config.check_listen_address(false).is_ok());
    }
}

#[test]
fn keys_and_variables_are_named_once_and_alike() {
    let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
    let variables: BTreeSet<_> = KEYS.iter().map(|key| key.variable).collect();
    assert_eq!((names.len(), variables.len()), (KEYS.len(), KEYS.len()));
    for key in KEYS {
        let made = key.name.replace('.', "_").to_uppercase();
        // Names that others have for the same.
        let is_exception = [
            "RUST_LOG",
            "AEGIS_LEDGER",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_SERVICE_NAME",
            "NEW_RELIC_LICENSE_KEY",
        ]
        .contains(&key.variable);
        assert!(is_exception || key.variable == made, "{}", key.name);
    }
}

#[test]
fn the_reference_tells_of_every_key() {
    let reference = reference();
    assert_eq!(reference.len(), KEYS.len());
    let port = reference
        .iter()
        .find(|doc| doc.key == "database.port")
        .unwrap();
    assert_eq!(
        (port.variable, port.default.as_str()),
        ("DATABASE_PORT", "5432")
    );
    assert_eq!(port.takes, "an integer from 1 to 65535");
}
