//! What a running aegisd exports.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use aegis::postgres::discrepancies::Class;
use aegis::telemetry::{Kind, METRICS};
use serde_json::json;

use crate::scene::{Exported, Scene};

/// Prometheus's own tool: `AEGIS_PROMTOOL`, or the one in the path. Where there is none, the run says
/// what was not tested.
pub(crate) fn promtool(test: &str) -> Option<Command> {
    let named = std::env::var("AEGIS_PROMTOOL").ok();
    let tool = named.clone().unwrap_or_else(|| "promtool".to_owned());
    let found = Command::new(&tool).arg("--version").output().is_ok();
    assert!(
        found || named.is_none(),
        "AEGIS_PROMTOOL: {tool} can't be run"
    );
    if !found {
        // Past what the test harness holds back.
        let _ = writeln!(
            std::io::stderr(),
            "{test}: NOT TESTED, there is no promtool: dev/stack tools gets it"
        );
    }
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
                // A slow answer to its look at the database takes it back for a moment.
                && exported.value("aegis_ready", &[]) == Some(1.0)
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
        for (series_labels, value) in series {
            let labels: BTreeSet<&str> = series_labels.keys().map(String::as_str).collect();
            let described: BTreeSet<&str> = metric.labels.iter().copied().collect();
            assert_eq!(labels, described, "the labels of {name}");
            for (label, values) in metric.labels.iter().zip(metric.values) {
                assert!(
                    values.contains(&series_labels[*label].as_str()),
                    "{label} of {name}"
                );
            }
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
async fn what_redis_knows_of_a_request_is_counted() {
    let scene = Scene::new().await;
    let known = |exported: &Exported, outcome| {
        exported
            .value("aegis_idempotency_lookups_total", &[("outcome", outcome)])
            .unwrap_or_default()
    };
    let body = |amount| json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": amount});
    assert_eq!(scene.post("transfers", "k", body(1)).await, 201);
    let exported = scene.scraped_when(|_| true).await;
    assert_eq!(
        (known(&exported, "new"), known(&exported, "answered")),
        (1.0, 0.0)
    );
    for _ in 0..3 {
        assert_eq!(scene.post("transfers", "k", body(1)).await, 201);
    }
    assert_eq!(scene.post("transfers", "k", body(2)).await, 422);
    let exported = scene.scraped_when(|_| true).await;
    let counts = ["new", "answered", "reused", "in_flight", "unknown"];
    let counts = counts.map(|outcome| known(&exported, outcome));
    assert_eq!(counts, [1.0, 3.0, 1.0, 0.0, 0.0]);
    // The ledger was asked once.
    let posted = &[("outcome", "posted")];
    let commands = exported.value("aegis_posting_commands_total", posted);
    assert_eq!(commands, Some(1.0));
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reconciliation_finds_is_counted_by_its_class() {
    let scene = Scene::new().await;
    let head = "kind,reference,currency,minor,fee,booked_at,status,id,batch";
    let paid = |name| format!("payment,{name},NGN,4000,0,2026-11-22T12:00:00Z,booked,,");
    let content = format!("{head}\n{}\n{}\n", paid("a"), paid("b"));
    let body = json!({"psp": "paystack", "file_name": "s.csv", "content": content});
    assert_eq!(scene.post("reconciliations", "r", body).await, 201);
    let exported = scene.scraped_when(|_| true).await;
    let name = "aegis_discrepancies_total";
    let found = |class| {
        let labels = [("class", class), ("source", "reconciliation")];
        exported.value(name, &labels).unwrap_or_default()
    };
    let known: BTreeSet<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
    let classes = exported.values_of(name, "class");
    assert!(classes.is_subset(&known), "{classes:?}");
    let all: f64 = known.iter().map(|class| found(class)).sum();
    assert_eq!(all, 2.0);
    assert_eq!(found("missing_here") + found("unknown_reference"), 2.0);
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

/// Prometheus' own libraries name these so.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_process_tells_of_its_memory_and_descriptors_as_the_system_does() {
    let scene = Scene::new().await;
    let folder = format!("/proc/{}", scene.daemon.id());
    let exported = scene.scraped_when(|_| true).await;
    let value = |name| exported.value(name, &[]).unwrap_or(-1.0);
    let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    let bytes = kib.trim().parse::<f64>().unwrap() * 1024.0;
    let told = value("process_resident_memory_bytes");
    assert!((0.5..2.0).contains(&(told / bytes)), "{told} of {bytes}");
    let open = std::fs::read_dir(format!("{folder}/fd")).unwrap().count() as f64;
    let told = value("process_open_fds");
    assert!((told - open).abs() <= 10.0, "{told} of {open}");
    assert!(told < value("process_max_fds"));
    assert!(value("process_threads") >= 2.0);
    let now = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
    let age = now - value("process_start_time_seconds");
    assert!((-2.0..120.0).contains(&age), "started {age} s ago");
    let cpu = value("process_cpu_seconds_total");
    assert!((0.0..120.0).contains(&cpu), "{cpu}");
    // With connections open there are more descriptors, and without them as many as before.
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(
            tokio::net::TcpStream::connect(&scene.daemon.address)
                .await
                .unwrap(),
        );
    }
    let fds = |exported: &Exported| exported.value("process_open_fds", &[]).unwrap();
    scene
        .scraped_when(|exported| fds(exported) >= told + 40.0)
        .await;
    drop(idle);
    scene
        .scraped_when(|exported| fds(exported) <= told + 20.0)
        .await;
    assert_eq!(scene.daemon.stop().await, Some(0));
}

/// Where promtool is not there, the test's own reading has to do.
#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_to_complain_of_in_what_is_exported() {
    let Some(mut promtool) = promtool("what is exported") else {
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
