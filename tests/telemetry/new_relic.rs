//! New Relic's intake: OTLP with a header of its own, which is a secret.

use crate::collector::Collector;
use crate::scene::Scene;
use crate::support::daemon::Settings;

const LICENSE: &str = "watchword0license0NRAL";

#[tokio::test(flavor = "multi_thread")]
async fn the_license_key_goes_out_as_api_key_and_is_not_in_the_log() {
    let collector = Collector::start().await;
    let mut scene = Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
            .with("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=watchword-tenant")
            .with("NEW_RELIC_LICENSE_KEY", LICENSE)
            .with("OTEL_SERVICE_NAME", "settlement")
            .with("RUST_LOG", "trace")
    })
    .await;
    scene.transfer("k1", None).await;
    let all = collector.until("a span", |spans| !spans.is_empty()).await;
    assert!(all.0.iter().all(|span| span.service == "settlement"));
    for headers in collector.headers() {
        assert_eq!(headers["api-key"], LICENSE);
        assert_eq!(headers["x-tenant"], "watchword-tenant");
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }
    scene.daemon.terminate();
    scene.daemon.logged("stopped").await;
    assert!(
        !scene.daemon.log_holds("watchword"),
        "a secret is in the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_does_not_hold_ends_the_start_and_is_not_shown() {
    let database = crate::common::TestDatabase::create().await;
    let daemon = Settings::new(database.url())
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .with("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")
        .spawn();
    let (code, words) = daemon.last_words().await;
    assert_eq!(code, Some(2), "{words:?}");
    let words = words.concat();
    assert!(words.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");
}
