//! Who may use whom, read from the source. `CONTRIBUTING.md` says why.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

use std::path::{Path, PathBuf};

/// A module and the modules of ours that it may name.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ledger", &[]),
    ("config", &[]),
    ("resilience", &[]),
    ("event", &["ledger"]),
    ("view", &["ledger", "postgres"]),
    ("cache", &["config"]),
    ("telemetry", &["config"]),
    ("bus", &["event"]),
    ("postgres", &["ledger", "event", "config"]),
    ("verify", &["ledger", "event", "postgres"]),
    ("outbox", &["event", "postgres", "bus", "resilience"]),
    ("engine", &["ledger", "event", "postgres", "resilience"]),
    ("api", &["ledger", "engine", "postgres", "view", "config"]),
];

/// A word, and the only places that may hold it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rdkafka::", &["src/bus/kafka"]),
    ("redis::", &["src/cache.rs"]),
    ("serde_yaml::", &["src/config/yaml.rs"]),
    ("backoff::Exponential", &["src/resilience/backoff.rs"]),
    ("sqlx::query", &["src/postgres/"]),
    ("sqlx::raw_sql", &["src/postgres/"]),
    ("AssertSqlSafe", &["src/postgres/"]),
    ("copy_in_raw", &["src/postgres/"]),
    ("copy_out_raw", &["src/postgres/"]),
];

struct Source {
    path: String,
    code: String,
}

/// Every file under `src`, without comments and without its unit tests.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let without_tests = |text: &str| {
        let text = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .to_owned();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    };
    found
        .iter()
        .map(|path| Source {
            path: path.strip_prefix(root).unwrap().display().to_string(),
            code: without_tests(&std::fs::read_to_string(path).unwrap()),
        })
        .filter(|source| !source.path.contains("/tests"))
        .collect()
}

fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split(['/', '.']).next().unwrap_or(inside)
}

#[test]
fn modules_use_only_what_stands_below_them() {
    let sources = sources();
    assert!(sources.len() > 50, "the source was found");
    for source in &sources {
        let module = module_of(&source.path);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        for used in source.code.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            assert!(
                used == module || used.is_empty() || allowed.contains(&used.as_str()),
                "{} uses crate::{used}; {module} may use {allowed:?}",
                source.path
            );
        }
    }
}

#[test]
fn each_outside_part_is_spoken_to_in_one_place() {
    for source in sources() {
        for (word, places) in ONLY_IN {
            let at_home = places.iter().any(|place| source.path.starts_with(place));
            assert!(
                at_home || !source.code.contains(word),
                "{} holds {word}",
                source.path
            );
        }
    }
}

#[test]
fn no_float_comes_near_money() {
    for source in sources() {
        let near = ["src/ledger/", "src/engine/", "src/postgres/"];
        if near.iter().any(|place| source.path.starts_with(place)) {
            for float in ["f32", "f64"] {
                assert!(
                    !source.code.contains(float),
                    "{} holds {float}",
                    source.path
                );
            }
        }
    }
}
