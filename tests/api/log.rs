//! What the log says of requests.

use aegis::api::Limits;
use axum::body::Body;
use axum::http::Request;

use crate::common::log::CapturedLog;
use crate::support::TestApi;

#[tokio::test]
async fn one_line_is_logged_a_request() {
    let api = TestApi::new().await;
    let log = CapturedLog::start();
    let request = Request::get("/v1/ledgers/main/wallets?prefix=secret")
        .header("x-correlation-id", "c-1")
        .header("idempotency-key", "k-1")
        .body(Body::empty());
    assert_eq!(api.send(request.unwrap()).await.status, 200);
    sqlx::query("ALTER TABLE ledger_entries RENAME TO elsewhere")
        .execute(api.database.pool())
        .await
        .unwrap();
    let broken = api.get("/v1/ledgers/main/wallets/shop/entries").await;
    assert_eq!(broken.status, 500);
    assert!(!broken.body.to_string().contains("ledger_entries"));

    let lines = log.of_target("aegis::request");
    let [fine, broken] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(fine["level"], "INFO");
    for (field, value) in [
        ("method", "GET"),
        ("path", "/v1/ledgers/{ledger}/wallets"),
        ("correlation_id", "c-1"),
        ("ledger", "main"),
        ("idempotency_key", "k-1"),
    ] {
        assert_eq!(fine["fields"][field], value, "{fine}");
    }
    assert_eq!(fine["fields"]["traceparent"].as_str().unwrap().len(), 55);
    assert_eq!(fine["fields"]["status"], 200);
    assert!(fine["fields"]["latency_ms"].is_f64(), "{fine}");
    assert!(fine["fields"].get("code").is_none(), "{fine}");
    assert!(!fine.to_string().contains("secret"), "{fine}");
    assert_eq!(broken["level"], "ERROR");
    assert_eq!(broken["fields"]["code"], "internal");
    let cause = broken["fields"]["cause"].as_str().unwrap();
    assert!(cause.contains("ledger_entries"), "{cause}");
}

#[tokio::test]
async fn a_request_that_a_fault_around_refused_is_no_warning_of_its_own() {
    let limits = Limits {
        requests_max: 0,
        ..Limits::default()
    };
    let api = TestApi::with_limits(limits).await;
    let log = CapturedLog::start();
    assert_eq!(api.get("/v1/ledgers").await.status, 429);
    let lines = log.of_target("aegis::request");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["fields"]["code"], "overloaded");
}
