//! The PSP is handed the trace of the request that calls it.

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::collector::Collector;
use crate::scene::{CALLER, Scene, TRACE};
use crate::support::PATIENCE;

/// The head of the first request that comes, and a hung-up connection for an answer.
async fn first_head(listener: TcpListener) -> String {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let byte = connection.read_u8().await.unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_psp_names_the_trace_of_its_request_and_its_own_span() {
    let collector = Collector::start().await;
    let url = collector.url();
    let scene = Scene::with(|settings| settings.with("OTEL_EXPORTER_OTLP_ENDPOINT", &url)).await;
    let listener = TcpListener::bind(("127.0.0.1", scene.psp_port))
        .await
        .unwrap();
    let head = tokio::spawn(tokio::time::timeout(PATIENCE, first_head(listener)));
    let order = json!({
        "merchant": "acme", "amount": 50_000, "currency": "NGN", "email": "ada@example.com",
    });
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let path = "/v1/ledgers/main/payments";
    let (status, _, made) = scene.post(path, "k1", Some(&traceparent), &order).await;
    assert_eq!(status, 201, "{made}");

    let head = head.await.unwrap().expect("the PSP is called");
    assert!(head.starts_with("POST /transaction/initialize "), "{head}");
    let sent = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
    let sent: Vec<&str> = sent.map(|(_, value)| value).collect();
    let [sent] = sent[..] else {
        panic!("one header: {head}");
    };
    let call = "POST /transaction/initialize";
    let trace = collector
        .until("the call's span", |spans| {
            spans.iter().any(|s| s.trace == TRACE && s.name == call)
        })
        .await
        .of(TRACE);
    // A worker may call again: its span is another.
    let calls = trace.0.iter().filter(|span| span.name == call);
    let told: Vec<String> = calls
        .map(|span| format!("00-{TRACE}-{}-01", span.id))
        .collect();
    assert!(told.iter().any(|told| told == sent), "{sent}: {told:?}");
}
