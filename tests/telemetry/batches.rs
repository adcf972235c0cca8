//! What one database transaction does for many requests.

use futures_util::future::join_all;

use crate::collector::Collector;
use crate::scene::{Scene, trace_of};

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_a_batch_has_the_batch_below_it_or_points_to_it() {
    let collector = Collector::start().await;
    let scene = Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
            .with("TELEMETRY_TRACES_PER_SECOND_MAX", "1000")
    })
    .await;
    let keys: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
    let answered = join_all(keys.iter().map(|key| scene.transfer(key, None))).await;
    let all = collector
        .until("every request", |spans| {
            let done = |name: &str| spans.iter().filter(|span| span.name == name).count();
            done("POST /v1/ledgers/{ledger}/transfers") == 40 && done("post") == 40
        })
        .await;
    let batches: Vec<_> = all.0.iter().filter(|span| span.name == "batch").collect();
    assert!(!batches.is_empty());
    let mut pointing = 0;
    for traceparent in &answered {
        let trace = trace_of(traceparent);
        let of_it = |name: &str| {
            let mut of_it = all.0.iter().filter(|s| s.trace == trace && s.name == name);
            of_it.next().unwrap()
        };
        let (request, post) = (of_it("POST /v1/ledgers/{ledger}/transfers"), of_it("post"));
        assert_eq!(*traceparent, format!("00-{trace}-{}-01", request.id));
        assert_eq!(post.parent, request.id);
        let below = all.children(post);
        let below = below.iter().find(|span| span.name == "batch");
        let batch = match below {
            Some(batch) => batch,
            None => {
                pointing += 1;
                let found = batches.iter().find(|batch| post.links.contains(&batch.id));
                found.expect("it points to the batch")
            }
        };
        let statements = all.children(batch);
        assert!(
            statements.iter().any(|span| !span.statement().is_empty()),
            "{}",
            all.drawn()
        );
    }
    let in_batches: usize = batches
        .iter()
        .map(|batch| batch.attribute("aegis.batch.requests").parse::<usize>())
        .map(Result::unwrap)
        .sum();
    assert_eq!(in_batches, 40);
    assert_eq!(pointing, 40 - batches.len());
}
