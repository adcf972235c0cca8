//! What a running aegisd exports.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use aegis::telemetry::{Kind, METRICS};

use crate::scene::Scene;

/// Prometheus's own tool: `AEGIS_PROMTOOL`, or the one in the path; `None`: there is none here.
pub(crate) fn promtool() -> Option<Command> {
    let named = std::env::var("AEGIS_PROMTOOL").ok();
    let tool = named.clone().unwrap_or_else(|| "promtool".to_owned());
    let found = Command::new(&tool).arg("--version").output().is_ok();
    assert!(
        found || named.is_none(),
        "AEGIS_PROMTOOL: {tool} can't be run"
    );
    found.then(|| Command::new(tool))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_exported_is_described_and_tells_what_happened() {
    let scene = Scene::new().await;
    scene.traffic().await;
    let exported = scene
        .scraped_when(|exported| {
            let looked = |what| exported.value("aegis_looked_timestamp_seconds", &[("what", what)]);
            looked("money").is_some()
                && exported
                    .value("aegis_loop_idle_seconds", &[("loop", "relay")])
                    .is_some()
                && exported.value("aegis_relay_published_total", &[]) >= Some(7.0)
        })
        .await;
    for (name, series) in &exported.series {
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in telemetry's list"));
        assert_eq!(
            exported.types.get(name).map(String::as_str),
            Some(metric.kind.as_str()),
            "{name}"
        );
        for (labels, value) in series {
            let labels: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
            let described: BTreeSet<&str> = metric.labels.iter().copied().collect();
            assert_eq!(labels, described, "the labels of {name}");
            assert!(!value.is_nan(), "{name}");
        }
    }
    let value = |name, labels: &[_]| exported.value(name, labels).unwrap_or_default();
    let outcome = |outcome| value("aegis_posting_commands_total", &[("outcome", outcome)]);
    assert_eq!(
        (outcome("posted"), outcome("replayed"), outcome("rejected")),
        (6.0, 1.0, 1.0)
    );
    assert_eq!(
        value(
            "aegis_posting_rejections_total",
            &[("code", "insufficient_funds")]
        ),
        1.0
    );
    for step in ["queue", "resolve", "locks", "read", "decide", "write"] {
        let count = value("aegis_posting_seconds", &[("step", step)]);
        assert!(count >= 1.0, "{step}");
    }
    assert!(value("aegis_wallet_locks_total", &[("outcome", "taken")]) >= 1.0);
    assert_eq!(value("aegis_payments_total", &[("status", "created")]), 1.0);
    assert_eq!(value("aegis_ready", &[]), 1.0);
    assert_eq!(value("aegis_relay_leading", &[]), 1.0);
    for pool in [
        "api",
        "consumers",
        "payments",
        "payouts",
        "payout_runs",
        "refunds",
        "settlement",
    ] {
        assert!(
            value("aegis_pool_limit_connections", &[("pool", pool)]) >= 1.0,
            "{pool}"
        );
    }
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_takes_what_a_caller_wrote() {
    let scene = Scene::new().await;
    scene.traffic().await;
    let before = scene.scraped_when(|_| true).await;
    // The same again with other names adds no series of requests.
    for n in 10..30 {
        scene.get(&format!("/nothing/{n}")).await;
        scene.get(&format!("/v1/ledgers/l{n}/wallets/w{n}")).await;
        let http = reqwest::Client::new();
        let method = reqwest::Method::from_bytes(format!("MAKE{n}").as_bytes()).unwrap();
        let url = format!("http://{}/livez/{n}", scene.daemon.address);
        http.request(method, url).send().await.unwrap();
    }
    let after = scene.scraped_when(|_| true).await;
    for label in ["method", "route", "status"] {
        let (before, after) = (
            before.values_of("aegis_http_requests_total", label),
            after.values_of("aegis_http_requests_total", label),
        );
        let new: Vec<_> = after.difference(&before).collect();
        assert!(new.iter().all(|new| **new == "other"), "{label}: {new:?}");
    }
    let routes = after.values_of("aegis_http_requests_total", "route");
    assert!(
        routes.contains("none") && routes.contains("/v1/ledgers/{ledger}/transfers"),
        "{routes:?}"
    );
    assert!(
        !routes.iter().any(|route| route.starts_with("/livez")),
        "probes are not counted"
    );
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_have_the_buckets_of_the_list() {
    let scene = Scene::new().await;
    scene.traffic().await;
    let exported = scene.scraped_when(|_| true).await;
    for metric in METRICS {
        let Kind::Histogram(bounds) = metric.kind else {
            continue;
        };
        let Some(found) = exported.bounds.get(metric.name) else {
            continue;
        };
        let mut wanted: BTreeSet<String> = bounds.iter().map(ToString::to_string).collect();
        wanted.insert("+Inf".to_owned());
        assert_eq!(*found, wanted, "{}", metric.name);
    }
    assert!(exported.bounds.contains_key("aegis_posting_seconds"));
    assert_eq!(scene.daemon.stop().await, Some(0));
}

/// Where promtool is not there, the test's own reading has to do.
#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_to_complain_of_in_what_is_exported() {
    let Some(mut promtool) = promtool() else {
        return;
    };
    let scene = Scene::new().await;
    scene.traffic().await;
    let exported = scene.scraped_when(|exported| exported.value("aegis_verify_ok", &[]).is_some());
    exported.await;
    let text = scene.scrape().await;
    let mut check = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let checked = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}");
    assert_eq!(scene.daemon.stop().await, Some(0));
}
