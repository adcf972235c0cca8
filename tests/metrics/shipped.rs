//! The dashboard and the alert rules that are shipped: every metric and label that they name is one of
//! the list.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use aegis::telemetry::{Kind, METRICS, Metric};
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::exported::promtool;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Labels that Prometheus adds itself.
const ADDED: [&str; 2] = ["instance", "job"];

#[derive(Default)]
struct Named {
    /// Selected series, with the labels that they are selected by.
    selectors: Vec<(String, Vec<String>)>,
    /// Labels that series are grouped or matched by.
    grouped: Vec<String>,
}

impl ExprVisitor for Named {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(selector) => Some(&selector.vs),
            Expr::Aggregate(aggregate) => {
                if let Some(modifier) = &aggregate.modifier {
                    self.grouped
                        .extend(modifier.labels().labels.iter().cloned());
                }
                None
            }
            Expr::Binary(binary) => {
                let matching = binary.modifier.as_ref().and_then(|m| m.matching.as_ref());
                if let Some(matching) = matching {
                    self.grouped
                        .extend(matching.labels().labels.iter().cloned());
                }
                None
            }
            _ => None,
        };
        if let Some(selector) = selector {
            let name = selector.name.clone().ok_or("a selector without a name")?;
            let labels = selector.matchers.matchers.iter();
            let labels = labels.map(|matcher| matcher.name.clone()).collect();
            self.selectors.push((name, labels));
        }
        Ok(true)
    }
}

fn names_in(expr: &str) -> Named {
    // What Grafana puts in.
    let plain = expr
        .replace("$__rate_interval", "5m")
        .replace("$instance", ".*");
    let parsed = parser::parse(&plain).unwrap_or_else(|error| panic!("{expr}: {error}"));
    let mut named = Named::default();
    walk_expr(&mut named, &parsed).unwrap_or_else(|error| panic!("{expr}: {error}"));
    named
}

/// The metric that a series belongs to; histograms are read by their buckets.
fn metric_of(series: &str) -> Option<&'static Metric> {
    let is_histogram = |metric: &&Metric| matches!(metric.kind, Kind::Histogram(_));
    METRICS.iter().find(|metric| match is_histogram(metric) {
        true => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| series.strip_suffix(end) == Some(metric.name)),
        false => metric.name == series,
    })
}

fn assert_exported(place: &str, expr: &str) -> Vec<&'static str> {
    let named = names_in(expr);
    let mut labels: BTreeSet<&str> = ADDED.into_iter().chain(["le"]).collect();
    let mut metrics = Vec::new();
    // What Prometheus itself tells of whom it asks.
    let ours = named.selectors.iter().filter(|(series, _)| *series != "up");
    for (series, selected_by) in ours {
        let metric = metric_of(series);
        let metric = metric.unwrap_or_else(|| panic!("{place}: nothing exports {series}"));
        for label in selected_by {
            let known = metric.labels.contains(&label.as_str()) || ADDED.contains(&label.as_str());
            assert!(known, "{place}: {series} has no label {label}");
        }
        labels.extend(metric.labels);
        metrics.push(metric.name);
    }
    for label in &named.grouped {
        assert!(
            labels.contains(label.as_str()),
            "{place}: nothing there has a label {label}"
        );
    }
    assert!(!metrics.is_empty(), "{place}: {expr} is about nothing");
    metrics
}

struct Alert {
    name: String,
    expr: String,
    labels: serde_yaml::Value,
    annotations: serde_yaml::Value,
}

fn alerts() -> Vec<Alert> {
    let rules: serde_yaml::Value =
        serde_yaml::from_str(&read("packaging/prometheus/alerts.yml")).unwrap();
    let groups = rules["groups"].as_sequence().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_sequence().unwrap());
    rules
        .map(|rule| Alert {
            name: rule["alert"].as_str().unwrap().to_owned(),
            expr: rule["expr"].as_str().unwrap().to_owned(),
            labels: rule["labels"].clone(),
            annotations: rule["annotations"].clone(),
        })
        .collect()
}

/// `AegisRelayStuck` is `aegis-relay-stuck`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[test]
fn every_alert_is_about_metrics_that_are_exported_and_says_what_to_do() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "names are unique");
    for alert in &alerts {
        let name = &alert.name;
        assert_exported(name, &alert.expr);
        let severity = alert.labels["severity"].as_str();
        assert!(
            matches!(severity, Some("warning" | "critical")),
            "{name}: {severity:?}"
        );
        for text in ["summary", "description"] {
            let text = alert.annotations[text].as_str();
            assert!(
                text.is_some_and(|text| text.ends_with('.')),
                "{name}: {text:?}"
            );
        }
        let runbook = format!("docs/runbook.md#{}", kebab(name));
        assert_eq!(
            alert.annotations["runbook"].as_str(),
            Some(runbook.as_str()),
            "{name}"
        );
    }
}

#[test]
fn every_alert_has_its_place_in_the_runbook() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let runbook = std::fs::read_to_string(path).unwrap();
    let anchor = |heading: &str| -> String {
        let heading = heading.trim().to_lowercase().replace(' ', "-");
        heading
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .collect()
    };
    let headings = runbook.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<String> = headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    for alert in alerts() {
        let wanted = kebab(&alert.name);
        let marked = runbook.contains(&format!("id=\"{wanted}\""));
        assert!(
            marked || anchors.contains(&wanted),
            "the runbook has no #{wanted}"
        );
    }
}

#[test]
fn every_panel_is_about_metrics_that_are_exported_and_each_metric_has_one() {
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/aegis.json")).unwrap();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_i64().unwrap()),
            "{title}: its id is taken"
        );
        let targets = panel["targets"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{title}");
        for target in targets {
            shown.extend(assert_exported(title, target["expr"].as_str().unwrap()));
        }
        let place = &panel["gridPos"];
        let end = place["x"].as_i64().unwrap() + place["w"].as_i64().unwrap();
        assert!(end <= 24, "{title}: does not fit the grid");
    }
    // Readiness is a gauge a check, which the dashboard shows, and their worst.
    for metric in METRICS {
        assert!(
            shown.contains(metric.name),
            "no panel shows {}",
            metric.name
        );
    }
}

/// Runs promtool on files of `packaging/prometheus`: what it said, and whether it was content.
fn asked(
    promtool: &mut Command,
    arguments: [&str; 2],
    folder: &Path,
    file: &str,
) -> (bool, String) {
    let said = promtool
        .args(arguments)
        .arg(file)
        .current_dir(folder)
        .output()
        .unwrap();
    let words = [said.stdout, said.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (said.status.success(), words.concat())
}

#[test]
fn promtool_takes_the_alert_rules() {
    let Some(mut promtool) = promtool("the alert rules") else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus");
    let (content, said) = asked(&mut promtool, ["check", "rules"], &folder, "alerts.yml");
    assert!(content, "{said}");
    assert!(
        said.contains(&format!("{} rules found", alerts().len())),
        "{said}"
    );
}

#[test]
fn alerts_come_when_they_must_and_stay_away_when_all_is_well() {
    let Some(mut tool) = promtool("when alerts come") else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus");
    let (content, said) = asked(&mut tool, ["test", "rules"], &folder, "alerts.test.yml");
    assert!(content, "{said}");
    // A rule that comes too late is noticed.
    let late = tempfile::tempdir().unwrap();
    let rules = read("packaging/prometheus/alerts.yml");
    let rules = rules.replace(
        "aegis_ready == 0\n        for: 1m",
        "aegis_ready == 0\n        for: 1h",
    );
    std::fs::write(late.path().join("alerts.yml"), rules).unwrap();
    let tests = read("packaging/prometheus/alerts.test.yml");
    std::fs::write(late.path().join("alerts.test.yml"), tests).unwrap();
    let mut tool = promtool("when alerts come").unwrap();
    let (content, said) = asked(&mut tool, ["test", "rules"], late.path(), "alerts.test.yml");
    assert!(!content && said.contains("AegisNotReady"), "{said}");
}

/// Without promtool: no alert is tested that there is none of, and the critical ones all are.
#[test]
fn every_critical_alert_has_a_test_of_when_it_comes() {
    let tests: serde_yaml::Value =
        serde_yaml::from_str(&read("packaging/prometheus/alerts.test.yml")).unwrap();
    let mut tested = BTreeSet::new();
    for test in tests["tests"].as_sequence().unwrap() {
        for case in test["promql_expr_test"].as_sequence().unwrap() {
            for sample in case["exp_samples"].as_sequence().into_iter().flatten() {
                let name = sample["labels"].as_str().unwrap().split('"').nth(1);
                tested.insert(name.unwrap().to_owned());
            }
        }
    }
    let alerts = alerts();
    for name in &tested {
        assert!(alerts.iter().any(|alert| alert.name == *name), "{name}");
    }
    for alert in alerts
        .iter()
        .filter(|alert| alert.labels["severity"] == "critical")
    {
        assert!(tested.contains(&alert.name), "{} is not tested", alert.name);
    }
}
