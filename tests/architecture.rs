//! Who may use whom: `CONTRIBUTING.md` says it in a table, the source is held to it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A word, and the only places that may hold it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rdkafka::", &["src/bus/kafka"]),
    ("redis::", &["src/cache/"]),
    ("jiff::", &["src/terms/zone.rs"]),
    ("sd_notify::", &["src/daemon/supervisor.rs"]),
    ("listenfd::", &["src/daemon/supervisor.rs"]),
    (
        "hyper_rustls::",
        &["src/psp/http.rs", "src/telemetry/otlp.rs"],
    ),
    ("opentelemetry", &["src/telemetry/"]),
    ("hmac::", &["src/psp/paystack/webhook.rs"]),
    ("serde_yaml::", &["src/config/yaml.rs"]),
    ("backoff::Exponential", &["src/resilience/backoff.rs"]),
    // There it is the name under which sqlx tells of statements.
    (
        "sqlx::query",
        &["src/postgres/", "src/telemetry/statements.rs"],
    ),
    ("sqlx::raw_sql", &["src/postgres/"]),
    ("AssertSqlSafe", &["src/postgres/"]),
    // However the functions were imported, this is how their queries are run.
    (".fetch_one(", &["src/postgres/"]),
    (".fetch_optional(", &["src/postgres/"]),
    (".fetch_all(", &["src/postgres/"]),
    (".execute(", &["src/postgres/"]),
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
    found
        .iter()
        .map(|path| Source {
            path: path.strip_prefix(root).unwrap().display().to_string(),
            code: without_tests(path),
        })
        .filter(|source| !source.path.contains("/tests"))
        .collect()
}

/// The unit tests stand last in a file, so that all before them is the code.
fn without_tests(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let (code, tests) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
    let first = tests
        .lines()
        .find(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    assert!(
        first.is_none_or(|first| first.starts_with("mod tests")),
        "{}: {first:?} would not be looked at",
        path.display()
    );
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// `None` for what is no module: the binaries, and the list of modules.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let module = inside.split(['/', '.']).next();
    module.filter(|module| !["bin", "lib"].contains(module))
}

/// The page's table: each module with the modules of ours that it may name.
fn may_use() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md");
    let page = std::fs::read_to_string(page).unwrap();
    let quoted = |cell: &str| -> BTreeSet<String> {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    };
    let mut table = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').collect();
        let [_, modules, _, used, _] = cells[..] else {
            panic!("a line of other than three cells: {line}");
        };
        for module in quoted(modules) {
            let twice = table.insert(module, quoted(used));
            assert!(twice.is_none(), "a module of two lines: {line}");
        }
    }
    table
}

#[test]
fn every_module_is_in_the_table_and_the_table_names_no_other() {
    let sources = sources();
    let modules = sources.iter().filter_map(|source| module_of(&source.path));
    let modules: BTreeSet<&str> = modules.collect();
    let table = may_use();
    let listed: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(listed, modules);
    let used = table.values().flatten().map(String::as_str);
    let unknown: Vec<&str> = used.filter(|used| !modules.contains(used)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn modules_use_only_what_the_table_lets_them() {
    let sources = sources();
    assert!(sources.len() > 50, "the source was found");
    let table = may_use();
    for source in &sources {
        let Some(module) = module_of(&source.path) else {
            continue;
        };
        let allowed = &table[module];
        for used in source.code.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            assert!(
                !used.is_empty(),
                "{}: write one module of ours a line",
                source.path
            );
            assert!(
                used == module || allowed.contains(&used),
                "{} uses crate::{used}; {module} may use {allowed:?}",
                source.path
            );
        }
    }
}

/// Nor is there a circle: each module can be read with those that it uses already known.
#[test]
fn the_table_has_an_order() {
    let mut left = may_use();
    while !left.is_empty() {
        let ready: Vec<String> = left
            .iter()
            .filter(|(_, used)| used.iter().all(|used| !left.contains_key(used)))
            .map(|(module, _)| module.clone())
            .collect();
        assert!(!ready.is_empty(), "a circle: {left:?}");
        left.retain(|module, _| !ready.contains(module));
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
        let near = [
            "src/ledger/",
            "src/terms/",
            "src/engine/",
            "src/postgres/",
            "src/payout_runs/",
            "src/payouts/",
            "src/psp/",
            "src/simulator/books/",
        ];
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
