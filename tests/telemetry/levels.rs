//! What is logged changes while aegisd runs, with traces on as well.

use std::path::PathBuf;

use uuid::Uuid;

use crate::collector::{Collector, Span};
use crate::scene::{Scene, trace_of};

const READ: &str = "the configuration was read again";

/// A file of settings of a test's own; gone when dropped.
struct File(PathBuf);

impl File {
    fn with(filter: &str) -> Self {
        let name = format!("aegis-{}.yaml", Uuid::now_v7().simple());
        let file = Self(std::env::temp_dir().join(name));
        file.says(filter);
        file
    }

    fn says(&self, filter: &str) {
        std::fs::write(&self.0, format!("log:\n  filter: {filter}\n")).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// How many lines of debugging a probe leaves, 1 or none, and the trace of the transfer behind it.
/// Probes are logged at `DEBUG`; the transfer at `INFO`, whose line is waited for.
async fn told_of_a_probe(scene: &Scene, key: &str) -> (usize, String) {
    let before = debugging(scene);
    scene.http.get(scene.url("/livez")).send().await.unwrap();
    let mut nth = scene.daemon.all_logged("request").len();
    let traceparent = scene.transfer(key, None).await;
    loop {
        nth += 1;
        let line = scene.daemon.logged_again("request", nth).await;
        if line["idempotency_key"] == key {
            break;
        }
    }
    let trace = trace_of(&traceparent).to_owned();
    (debugging(scene) - before, trace)
}

fn debugging(scene: &Scene) -> usize {
    let lines = scene.daemon.all_logged("request");
    lines.iter().filter(|line| line["level"] == "DEBUG").count()
}

/// From `info` to `debug` and back: the traces of the transfers posted meanwhile.
async fn level_changes_back_and_forth(endpoint: Option<&str>) -> (Scene, Vec<String>) {
    let file = File::with("info");
    let scene = Scene::with(|settings| {
        let settings = settings
            .without("RUST_LOG")
            .with_argument("--config")
            .with_argument(file.0.to_str().unwrap());
        match endpoint {
            Some(endpoint) => settings.with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            None => settings,
        }
    })
    .await;
    let (told, at_info) = told_of_a_probe(&scene, "as-it-began").await;
    assert_eq!(told, 0);

    file.says("debug");
    scene.daemon.hang_up();
    let line = scene.daemon.logged_again(READ, 1).await;
    assert_eq!(line["filter"], "debug", "{line}");
    let (told, at_debug) = told_of_a_probe(&scene, "debugging").await;
    assert_eq!(told, 1);

    // A level that there is none of, words that would be taken for targets, of which there is no
    // event, and a file that can't be read at all.
    let broken = ["info,aegis=loud", "debgu", "info,warning", "{"];
    for (nth, broken) in broken.into_iter().enumerate() {
        file.says(broken);
        scene.daemon.hang_up();
        let message = "the configuration stays as it was";
        let line = scene.daemon.logged_again(message, nth + 1).await;
        assert_eq!(line["level"], "WARN", "{line}");
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.contains(file.0.to_str().unwrap()), "{line}");
        assert!(broken == "{" || reason.contains(broken), "{line}");
        let key = format!("still-debugging-{nth}");
        assert_eq!(told_of_a_probe(&scene, &key).await.0, 1);
    }

    file.says("info");
    scene.daemon.hang_up();
    let line = scene.daemon.logged_again(READ, 2).await;
    assert_eq!(line["filter"], "info", "{line}");
    let (told, at_info_again) = told_of_a_probe(&scene, "quiet-again").await;
    assert_eq!(told, 0);
    (scene, vec![at_info, at_debug, at_info_again])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_changes_at_a_signal_and_a_broken_file_changes_nothing() {
    let (scene, _) = level_changes_back_and_forth(None).await;
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_of_the_log_has_no_say_in_what_is_traced() {
    let collector = Collector::start().await;
    let (scene, traces) = level_changes_back_and_forth(Some(&collector.url())).await;
    for trace in traces {
        let has_statements = |spans: &[Span]| {
            let mut of = spans.iter().filter(|span| span.trace == trace);
            of.any(|span| span.statement().contains("transaction"))
        };
        collector
            .until("the trace with its statements", has_statements)
            .await;
    }
    assert_eq!(scene.daemon.stop().await, Some(0));
}

/// Whoever makes the log quieter sees that it was done, as whoever makes it louder does.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_level_is_told_of_even_where_neither_of_the_two_lets_it_through() {
    let file = File::with("info");
    let scene = Scene::with(|settings| {
        settings
            .without("RUST_LOG")
            .with_argument("--config")
            .with_argument(file.0.to_str().unwrap())
    })
    .await;
    for (nth, filter) in ["warn", "off", "error", "info"].into_iter().enumerate() {
        file.says(filter);
        scene.daemon.hang_up();
        let line = scene.daemon.logged_again(READ, nth + 1).await;
        assert_eq!(line["filter"], filter, "{line}");
    }
    assert_eq!(scene.daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_environment_sets_the_level_a_signal_says_that_it_decides() {
    let file = File::with("debug");
    let scene = Scene::with(|settings| {
        settings
            .with("RUST_LOG", "info")
            .with_argument("--config")
            .with_argument(file.0.to_str().unwrap())
    })
    .await;
    scene.daemon.hang_up();
    let message = "the configuration was read again; what is logged is set elsewhere";
    let line = scene.daemon.logged_again(message, 1).await;
    assert_eq!(line["filter"], "info", "{line}");
    assert_eq!(line["by"], "environment variable RUST_LOG", "{line}");
    assert_eq!(scene.daemon.stop().await, Some(0));
}
