//! A collector that is slow or away costs nothing.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::scene::Scene;
use crate::support::PATIENCE;
use crate::support::port::free_port;

/// How long sending may take here: a request that waited for it would take as long.
const TIMEOUT: Duration = Duration::from_secs(10);

async fn requests_go_on(endpoint: &str) {
    let scene = Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .with("TELEMETRY_QUEUE_SPANS_MAX", "50")
            .with("TELEMETRY_EXPORT_TIMEOUT_MS", "10000")
    })
    .await;
    for number in 0..60 {
        let began = Instant::now();
        scene.transfer(&format!("k{number}"), None).await;
        assert!(began.elapsed() < TIMEOUT, "the request waited");
    }
    let dropped = "aegis_traces_dropped_total";
    let began = Instant::now();
    while scene.counted(dropped).await == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing was counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.counted("aegis_traces_sent_total").await, 0);
    let began = Instant::now();
    assert_eq!(scene.daemon.stop().await, Some(0));
    // What was under way, the rest, and the drain.
    assert!(began.elapsed() < TIMEOUT * 3, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_up_neither_requests_nor_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hanging = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    requests_go_on(&format!("http://{address}")).await;
    hanging.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_up_neither_requests_nor_the_end() {
    requests_go_on(&format!("http://127.0.0.1:{}", free_port())).await;
}
