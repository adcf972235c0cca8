//! The log of a real daemon: JSON, one line an event, with the request that it belongs to.

use aegis::config::Secret;
use aegis::psp::paystack;
use serde_json::{Value, json};

use crate::scene::{AMOUNT, CALLER, EMAIL, KEY, Scene, TRACE};

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_json_and_that_of_a_request_says_what_it_was_about() {
    let mut scene = Scene::with(|settings| settings.with("RUST_LOG", "debug")).await;
    let given = format!("00-{TRACE}-{CALLER}-01");
    scene.transfer("k-transfer", Some(&given)).await;
    let order = json!({
        "merchant": "acme", "amount": AMOUNT, "currency": "USD", "email": EMAIL,
    });
    let path = "/v1/ledgers/main/payments";
    let (status, ..) = scene.post(path, "k-payment", Some(&given), &order).await;
    assert_eq!(status, 422);
    let wallets = scene.url("/v1/ledgers/main/wallets/shop?currency=NGN");
    scene.http.get(wallets).send().await.unwrap();
    scene.daemon.terminate();
    scene.daemon.logged("stopped").await;

    let lines = scene.daemon.all_logged("request");
    let line = |key: &str| -> Value {
        let found = lines.iter().find(|line| line["idempotency_key"] == key);
        found.expect("it was logged").clone()
    };
    let transfer = line("k-transfer");
    for (field, value) in [
        ("level", json!("INFO")),
        ("method", json!("POST")),
        ("path", json!("/v1/ledgers/{ledger}/transfers")),
        ("status", json!(201)),
        ("correlation_id", json!("correlation-k-transfer")),
        ("trace_id", json!(TRACE)),
        ("ledger", json!("main")),
        ("wallet", json!("bank:main")),
    ] {
        assert_eq!(transfer[field], value, "{field} of {transfer}");
    }
    assert!(transfer["latency_ms"].is_f64(), "{transfer}");
    let payment = line("k-payment");
    assert_eq!(payment["merchant"], "acme");
    assert_eq!(payment["code"], "currency_not_agreed");
    let read = lines.iter().find(|line| line["method"] == "GET").unwrap();
    assert_eq!(read["wallet"], "shop");

    // What else is logged while a request is worked on says which request.
    let statements = scene.daemon.lines();
    let statements = statements
        .iter()
        .filter(|line| line["target"] == "sqlx::query" && line["idempotency_key"] == "k-payment");
    let statements: Vec<&Value> = statements.collect();
    assert!(!statements.is_empty());
    for statement in statements {
        assert_eq!(statement["trace_id"], TRACE);
        assert_eq!(statement["correlation_id"], "correlation-k-payment");
        assert_eq!(statement["merchant"], "acme");
    }
    for secret in [EMAIL, KEY, &AMOUNT.to_string()] {
        assert!(!scene.daemon.log_holds(secret), "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_forged_webhook_is_in_the_log_or_in_a_trace() {
    let collector = crate::collector::Collector::start().await;
    let url = collector.url();
    let mut scene = Scene::with(|settings| {
        settings
            .with("RUST_LOG", "trace")
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
    })
    .await;
    let body = json!({"event": "charge.success", "data": {"reference": "watchword-forged"}});
    let body = body.to_string();
    let forged = paystack::sign(&Secret::new("sk_another"), body.as_bytes());
    let answer = scene
        .http
        .post(scene.url("/v1/webhooks/paystack"))
        .header("x-paystack-signature", &forged)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    scene.daemon.terminate();
    scene.daemon.logged("stopped").await;
    assert!(!scene.daemon.all_logged("request").is_empty());
    assert!(!scene.daemon.log_holds("watchword-forged"));
    assert!(!scene.daemon.log_holds(&forged));
    let spans = collector.spans();
    assert!(
        spans
            .iter()
            .any(|span| span.name == "POST /v1/webhooks/{psp}")
    );
    assert!(!format!("{spans:?}").contains("watchword-forged"));
}
