//! A collector that is slow or away costs nothing.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::scene::Scene;
use crate::support::PATIENCE;
use crate::support::port::free_port;

const DROPPED: &str = "aegis_traces_dropped_total";
const SENT: &str = "aegis_traces_sent_total";

/// A daemon whose queue holds fewer spans than its requests have.
async fn scene(endpoint: &str, timeout_ms: &str) -> Scene {
    Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .with("TELEMETRY_QUEUE_SPANS_MAX", "50")
            .with("TELEMETRY_EXPORT_TIMEOUT_MS", timeout_ms)
    })
    .await
}

async fn until_dropped(scene: &Scene, reason: &str) {
    let began = Instant::now();
    while scene.counted_with(DROPPED, reason).await == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing was dropped: {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What takes requests, holds them, and never answers; how many came.
async fn silent() -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (count, came) = watch::channel(0);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
            count.send_replace(held.len());
        }
    });
    (endpoint, came)
}

/// Were a request to wait for the export under way, its answer would come behind the end of it, which
/// is counted. None is counted: the export goes on, and no answer waited for it.
#[tokio::test(flavor = "multi_thread")]
async fn while_an_export_hangs_all_requests_are_answered_and_what_finds_no_room_is_dropped() {
    let (endpoint, mut came) = silent().await;
    // The longest that is taken.
    let scene = scene(&endpoint, "60000").await;
    scene.transfer("first", None).await;
    let exporting = tokio::time::timeout(PATIENCE, came.wait_for(|count| *count > 0));
    exporting.await.expect("an export begins").unwrap();
    let began = Instant::now();
    for number in 0..60 {
        scene.transfer(&format!("k{number}"), None).await;
    }
    until_dropped(&scene, "queue_full").await;
    let ended = scene.counted_with(DROPPED, "not_sent").await + scene.counted(SENT).await;
    assert_eq!(
        ended,
        0,
        "an export ended {:?} after the requests began",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_does_not_hold_up_the_end() {
    let (endpoint, _came) = silent().await;
    let scene = scene(&endpoint, "1000").await;
    scene.transfer("k1", None).await;
    until_dropped(&scene, "not_sent").await;
    // What is left is given up by itself: the process ends well, and within its own deadline.
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_up_neither_requests_nor_the_end() {
    let scene = scene(&format!("http://127.0.0.1:{}", free_port()), "1000").await;
    for number in 0..60 {
        scene.transfer(&format!("k{number}"), None).await;
    }
    until_dropped(&scene, "").await;
    assert_eq!(scene.counted(SENT).await, 0);
    assert_eq!(scene.daemon.stop().await, Some(0));
}
