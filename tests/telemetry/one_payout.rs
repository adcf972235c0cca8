//! A payout goes on in the trace of the request for it, by whichever worker.

use serde_json::json;

use crate::collector::Collector;
use crate::scene::{CALLER, Scene, TRACE};

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_sent_to_the_psp_in_the_trace_of_its_request() {
    let collector = Collector::start().await;
    let scene = Scene::with(|settings| {
        settings
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
            .with("PAYOUTS_POLL_MS", "50")
    })
    .await;
    let _psp = scene.psp().await;
    let funds = json!({
        "source": "bank:main", "destination": "merchant:acme:available", "currency": "NGN",
        "amount": 500_000,
    });
    let path = "/v1/ledgers/main/transfers";
    let (status, _, answer) = scene.post(path, "funds", None, &funds).await;
    assert_eq!(status, 201, "{answer}");
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let payout = json!({"merchant": "acme", "amount": 200_000, "currency": "NGN"});
    let path = "/v1/ledgers/main/payouts";
    let (status, _, answer) = scene.post(path, "k1", Some(&traceparent), &payout).await;
    assert_eq!(status, 201, "{answer}");
    let trace = collector
        .until("the call of the PSP", |spans| {
            let of_it = |name: &str| spans.iter().any(|s| s.trace == TRACE && s.name == name);
            of_it("POST /v1/ledgers/{ledger}/payouts") && of_it("advance payout")
        })
        .await
        .of(TRACE);
    let request = trace.one("POST /v1/ledgers/{ledger}/payouts");
    trace.statement(request, "INSERT INTO payouts");
    let advances = trace.children(request);
    let advance = advances
        .into_iter()
        .find(|span| span.name == "advance payout")
        .expect("it is the request's child");
    assert_eq!(advance.attribute("aegis.payout"), answer["id"]);
    trace.child(advance, "POST /transfer");
    trace.statement(advance, "COMMIT");
}
