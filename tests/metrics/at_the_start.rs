//! What is exported before anything happened: a series that begins with its first event hides that
//! event from `rate()` and `increase()`.

use std::collections::{BTreeMap, BTreeSet};

use aegis::ledger::RejectionCode;
use aegis::postgres::discrepancies::Class;
use aegis::postgres::payments::PaymentStatus;
use aegis::postgres::payouts::PayoutStatus;
use aegis::postgres::refunds::RefundStatus;
use aegis::telemetry::METRICS;

use crate::scene::Scene;

/// The metrics that begin later, and why.
const LATER: [(&str, &str); 2] = [
    (
        "aegis_http_requests_total",
        "routes and statuses are many, and nobody has asked for anything but probes",
    ),
    ("aegis_http_request_seconds", "as those"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_there_before_anything_happened() {
    let scene = Scene::with_everything().await;
    let later: BTreeMap<&str, &str> = LATER.into_iter().collect();
    let exported = scene
        .scraped_when(|exported| {
            let there = |name: &str| exported.series.contains_key(name);
            let mut missing = METRICS.iter().filter(|metric| !there(metric.name));
            missing.all(|metric| later.contains_key(metric.name))
        })
        .await;
    for (name, why) in later {
        assert!(
            !exported.series.contains_key(name),
            "{name} is there at once, although {why}"
        );
    }
    // Not one of many alone, but each that there can be.
    for metric in METRICS.iter().filter(|metric| !metric.values.is_empty()) {
        let series: usize = metric.values.iter().map(|values| values.len()).product();
        assert_eq!(
            exported.series[metric.name].len(),
            series,
            "{}",
            metric.name
        );
    }
    assert_eq!(scene.daemon.stop().await, Some(0));
}

fn values(metric: &str, label: &str) -> BTreeSet<&'static str> {
    let metric = METRICS.iter().find(|known| known.name == metric).unwrap();
    let at = metric.labels.iter().position(|known| *known == label);
    metric.values[at.unwrap()].iter().copied().collect()
}

#[test]
fn the_values_that_are_exported_from_the_start_are_those_of_the_program() {
    let codes = RejectionCode::ALL.iter().map(|code| code.as_str());
    assert_eq!(
        values("aegis_posting_rejections_total", "code"),
        codes.collect()
    );
    let statuses = PaymentStatus::ALL.iter().map(|status| status.as_str());
    assert_eq!(values("aegis_payments_total", "status"), statuses.collect());
    let statuses = PayoutStatus::ALL.iter().map(|status| status.as_str());
    assert_eq!(values("aegis_payouts_total", "status"), statuses.collect());
    let statuses = RefundStatus::ALL.iter().map(|status| status.as_str());
    assert_eq!(values("aegis_refunds_total", "status"), statuses.collect());
    let classes = Class::ALL.iter().map(|class| class.as_str());
    assert_eq!(
        values("aegis_discrepancies_total", "class"),
        classes.collect()
    );
}
