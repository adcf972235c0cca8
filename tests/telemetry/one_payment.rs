//! One payment, from the request to the consumer, as one trace.

use serde_json::json;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::collector::{Collector, Span, Trace};
use crate::scene::{AMOUNT, CALLER, EMAIL, KEY, Scene, TRACE};
use crate::support::topic::{DaemonTopic, settlements_of};

const CREATE: &str = "POST /v1/ledgers/{ledger}/payments";

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_one_trace_through_http_sql_the_psp_kafka_and_the_consumer() {
    let topic = DaemonTopic::on_shared_kafka().await;
    let collector = Collector::start().await;
    let scene = Scene::with(|settings| {
        settings
            .with_kafka(&topic.brokers, &topic.name)
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
    })
    .await;
    let psp = scene.psp().await;
    let order = json!({
        "merchant": "acme", "amount": AMOUNT, "currency": "NGN", "email": EMAIL,
        "reference": "order-1",
    });
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let path = "/v1/ledgers/main/payments";
    let (status, answered, made) = scene.post(path, "k1", Some(&traceparent), &order).await;
    assert_eq!(status, 201, "{made}");
    let url = format!("{}/simulator/checkout/order-1/pay", psp.base_url());
    assert!(
        scene
            .http
            .post(url)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );

    let settlements = settlements_of(&topic.name);
    let published = format!("publish {settlements}");
    let of_it = |spans: &[Span], name: &str| {
        let named = spans.iter().filter(|s| s.trace == TRACE && s.name == name);
        named.count()
    };
    // Its events: created, pending, succeeded.
    let all = collector
        .until("the whole payment", |spans| {
            of_it(spans, &published) == 3
                && of_it(spans, "process") == 3
                && of_it(spans, "apply outcome") == 1
                && of_it(spans, CREATE) == 1
        })
        .await;
    let webhook = all.one("POST /v1/webhooks/{psp}").clone();
    all.statement(&webhook, "INSERT INTO psp_webhooks");
    let trace = all.of(TRACE);

    the_request_is_the_callers_child(&trace, &answered);
    what_the_psp_told_is_applied_in_it(&trace);
    events_go_on_in_the_consumer(&trace, &published, &settlements);
    times_nest(&trace);
    nothing_of_it_is_a_value(&trace.0);
    nothing_of_it_is_a_value(&collector.spans());
    assert_eq!(scene.daemon.stop().await, Some(0));
}

fn the_request_is_the_callers_child(trace: &Trace, answered: &str) {
    let request = trace.one(CREATE);
    assert_eq!(request.parent, CALLER);
    assert_eq!(request.kind, SpanKind::Server);
    assert_eq!(request.service, "aegisd");
    assert_eq!(answered, format!("00-{TRACE}-{}-01", request.id));
    for (name, value) in [
        ("http.route", "/v1/ledgers/{ledger}/payments"),
        ("http.response.status_code", "201"),
        ("aegis.ledger", "main"),
        ("aegis.idempotency_key", "k1"),
        ("aegis.correlation_id", "correlation-k1"),
    ] {
        assert_eq!(request.attribute(name), value, "{name}");
    }
    let insert = trace.statement(request, "INSERT INTO payments");
    assert_eq!(insert.kind, SpanKind::Client);
    assert_eq!(insert.attribute("db.system.name"), "postgresql");
    assert!(insert.statement().contains("$1"), "{}", insert.statement());
    trace.statement(request, "COMMIT");
    let call = trace.child(request, "POST /transaction/initialize");
    assert_eq!(call.kind, SpanKind::Client);
    assert_eq!(call.attribute("http.response.status_code"), "200");
    assert!(
        insert.end_ns <= call.start_ns,
        "written before the PSP is called"
    );
}

fn what_the_psp_told_is_applied_in_it(trace: &Trace) {
    let request = trace.one(CREATE);
    let applied = trace.child(request, "apply outcome");
    trace.statement(applied, "UPDATE payments");
    trace.statement(applied, "SELECT post_batch(");
}

fn events_go_on_in_the_consumer(trace: &Trace, published: &str, settlements: &str) {
    let request = trace.one(CREATE);
    let children = trace.children(request);
    let named = |name: &str| -> Vec<&Span> {
        let named = children.iter().filter(|span| span.name == name);
        named.copied().collect()
    };
    let (sent, taken) = (named(published), named("process"));
    assert_eq!((sent.len(), taken.len()), (3, 3), "{}", trace.drawn());
    for span in &sent {
        assert_eq!(span.kind, SpanKind::Producer);
        assert_eq!(span.attribute("messaging.destination.name"), settlements);
        // The consumer took the same event.
        let id = span.attribute("messaging.message.id");
        let same = taken
            .iter()
            .find(|taken| taken.attribute("messaging.message.id") == id);
        assert_eq!(same.expect("it was consumed").kind, SpanKind::Consumer);
    }
}

/// A statement took its time within the step that it belongs to.
fn times_nest(trace: &Trace) {
    for parent in &trace.0 {
        for statement in trace.children(parent) {
            assert!(statement.start_ns <= statement.end_ns);
            if !statement.statement().is_empty() {
                let slack = 1_000_000;
                assert!(
                    statement.start_ns + slack >= parent.start_ns
                        && statement.end_ns <= parent.end_ns + slack,
                    "{} in {}",
                    statement.statement(),
                    parent.name
                );
            }
        }
    }
}

fn nothing_of_it_is_a_value(spans: &[Span]) {
    let amount = AMOUNT.to_string();
    for span in spans {
        for (name, value) in &span.attributes {
            for secret in [amount.as_str(), EMAIL, KEY] {
                assert!(!value.contains(secret), "{}: {name} is {value}", span.name);
            }
        }
        assert!(!span.name.contains(EMAIL) && !span.name.contains("order-1"));
    }
}
