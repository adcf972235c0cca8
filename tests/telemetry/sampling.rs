//! Which traces are recorded.

use std::time::Instant;

use crate::collector::Collector;
use crate::scene::{CALLER, Scene, TRACE, trace_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_word_counts_where_none_of_our_own_traces_are_recorded() {
    let collector = Collector::start().await;
    let scene = Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
            .with("TELEMETRY_SAMPLE_PER_MILLE", "0")
    })
    .await;
    let ours = scene.transfer("k1", None).await;
    assert!(ours.ends_with("-00"), "{ours}: others are told");
    let not_recorded = format!("00-{TRACE}-{CALLER}-00");
    let same = scene.transfer("k2", Some(&not_recorded)).await;
    assert_eq!(same, not_recorded);
    let recorded = format!("00-{TRACE}-{CALLER}-01");
    let answered = scene.transfer("k3", Some(&recorded)).await;
    assert!(answered.ends_with("-01"), "{answered}");
    assert_eq!(trace_of(&answered), TRACE);
    let all = collector
        .until("the caller's", |spans| {
            spans.iter().any(|span| span.parent == CALLER)
        })
        .await;
    // What comes later is of the same trace: its event goes out.
    assert!(
        all.0.iter().all(|span| span.trace == TRACE),
        "{}",
        all.drawn()
    );
    let request = all.one("POST /v1/ledgers/{ledger}/transfers");
    assert_eq!(request.attribute("aegis.idempotency_key"), "k3");
    assert_eq!(scene.daemon.stop().await, Some(0));
    assert!(collector.spans().iter().all(|span| span.trace == TRACE));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_before_the_process_ends() {
    let collector = Collector::start().await;
    let url = collector.url();
    let scene = Scene::with(|s| s.with("OTEL_EXPORTER_OTLP_ENDPOINT", &url)).await;
    let answered = scene.transfer("k1", None).await;
    // Spans wait for a second; the end does not.
    assert_eq!(scene.daemon.stop().await, Some(0));
    let spans = collector.spans();
    let of_it = spans.iter().filter(|s| s.trace == trace_of(&answered));
    assert!(of_it.clone().any(|span| span.name == "batch"), "{spans:?}");
    assert!(of_it.clone().any(|span| span.name.starts_with("publish ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_a_traceparent_is_handed_on_as_it_came() {
    let scene = Scene::with(|settings| settings).await;
    let given = format!("00-{TRACE}-{CALLER}-01");
    assert_eq!(scene.transfer("k1", Some(&given)).await, given);
}

/// Whoever goes on with what is made here is told that there is nothing to go on with.
#[tokio::test(flavor = "multi_thread")]
async fn what_begins_here_without_a_collector_and_a_probe_say_that_nothing_is_recorded() {
    let collector = Collector::start().await;
    let probe = async |scene: &Scene| {
        let answer = scene.http.get(scene.url("/livez")).send().await.unwrap();
        answer.headers()["traceparent"].to_str().unwrap().to_owned()
    };
    let off = Scene::with(|settings| settings).await;
    let on = Scene::with(|s| s.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())).await;
    for unrecorded in [
        off.transfer("k1", None).await,
        probe(&off).await,
        probe(&on).await,
    ] {
        assert!(unrecorded.ends_with("-00"), "{unrecorded}");
    }
    assert!(on.transfer("k1", None).await.ends_with("-01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_traces_begin_within_a_second_than_may_and_a_callers_goes_beside_them() {
    let collector = Collector::start().await;
    let scene = Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
            .with("TELEMETRY_TRACES_PER_SECOND_MAX", "2")
    })
    .await;
    let began = Instant::now();
    let mut recorded = 0;
    for number in 0..60 {
        let answered = scene.transfer(&format!("k{number}"), None).await;
        recorded += u64::from(answered.ends_with("-01"));
    }
    // A second that had begun before, and one that is not over.
    let seconds = began.elapsed().as_secs() + 2;
    assert!((1..=2 * seconds).contains(&recorded), "{recorded}");
    let given = format!("00-{TRACE}-{CALLER}-01");
    let answered = scene.transfer("of-the-caller", Some(&given)).await;
    assert!(answered.ends_with("-01"), "{answered}");
}
