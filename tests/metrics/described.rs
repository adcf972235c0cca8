//! The list of metrics against the source and against the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aegis::telemetry::{Kind, METRICS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| !path.ends_with("telemetry/metrics/list.rs"));
    found
}

/// How the source names a metric.
const COUNTING: [&str; 5] = ["counter!(", "gauge!(", "histogram!(", "came_to(", "counts("];

/// Every metric that the source counts, with where it does.
fn counted_in_the_source() -> BTreeMap<String, PathBuf> {
    let mut counted = BTreeMap::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for call in COUNTING {
            for after in text.split(call).skip(1) {
                let Some(name) = after.trim_start().strip_prefix('"') else {
                    continue;
                };
                let (name, _) = name.split_once('"').expect("it ends");
                counted.insert(name.to_owned(), path.clone());
            }
        }
    }
    counted
}

#[test]
fn every_metric_that_is_counted_is_in_the_list_and_the_list_has_no_others() {
    let counted = counted_in_the_source();
    for (name, path) in &counted {
        let known = METRICS.iter().any(|metric| metric.name == name);
        assert!(
            known,
            "{name} of {} is not in telemetry's list",
            path.display()
        );
    }
    for metric in METRICS {
        let name = metric.name;
        assert!(
            counted.contains_key(name),
            "nothing in the source counts {name}"
        );
    }
}

fn table() -> String {
    let mut table = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let (name, kind) = (metric.name, metric.kind.as_str());
        writeln!(
            table,
            "| `{name}` | {kind} | {} | {} |",
            labels.join(", "),
            metric.meaning
        )
        .unwrap();
    }
    table
}

/// With `AEGIS_WRITE_DOCS` set, the table is written anew.
#[test]
fn the_documentation_lists_every_metric_as_the_code_does() {
    let path = root().join("docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- metrics: begin -->\n", "<!-- metrics: end -->");
    let (head, rest) = text.split_once(begin).expect("the table's place is marked");
    let (found, tail) = rest.split_once(end).expect("the table's end is marked");
    let wanted = format!("\n{}\n", table());
    if std::env::var_os("AEGIS_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{begin}{wanted}{end}{tail}")).unwrap();
        return;
    }
    assert_eq!(
        found, wanted,
        "write it anew with AEGIS_WRITE_DOCS=1 cargo test --test metrics documentation"
    );
}

#[test]
fn counters_without_labels_and_histograms_are_few_enough() {
    // What one instance exports at most, routes aside: histograms are a series a bucket.
    let buckets: usize = METRICS
        .iter()
        .filter_map(|metric| match metric.kind {
            Kind::Histogram(bounds) => Some(bounds.len()),
            _ => None,
        })
        .sum();
    assert!(buckets < 200, "{buckets}");
}
