//! A caller that hangs up is told of as any other: what it asked for may move money all the same.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::scene::{CALLER, Scene, TRACE};
use crate::support::PATIENCE;

/// Until a statement of the daemon's waits for a lock.
async fn until_it_waits(scene: &Scene) {
    let began = Instant::now();
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    loop {
        let count: i64 = sqlx::query_scalar(waiting)
            .fetch_one(scene.database.pool())
            .await
            .unwrap();
        if count > 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nothing waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_caller_hangs_up_is_logged_and_counted_as_499() {
    let mut scene = Scene::with(|settings| settings.with("RUST_LOG", "info")).await;
    let mut blocker = scene.database.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM wallets FOR UPDATE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let body = json!({
        "source": "bank:main", "destination": "shop", "currency": "NGN", "amount": 5,
    });
    let body = body.to_string();
    let head = format!(
        "POST /v1/ledgers/main/transfers HTTP/1.1\r\nhost: aegis\r\nidempotency-key: k-gone\r\n\
         content-type: application/json\r\nx-correlation-id: order-gone\r\n\
         traceparent: 00-{TRACE}-{CALLER}-01\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut caller = TcpStream::connect(&scene.daemon.address).await.unwrap();
    caller
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    until_it_waits(&scene).await;
    drop(caller);

    let line = scene.daemon.logged("request").await;
    for (field, value) in [
        ("level", json!("INFO")),
        ("status", json!(499)),
        ("path", json!("/v1/ledgers/{ledger}/transfers")),
        ("idempotency_key", json!("k-gone")),
        ("correlation_id", json!("order-gone")),
        ("trace_id", json!(TRACE)),
        ("ledger", json!("main")),
        ("wallet", json!("bank:main")),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    let name = "aegis_http_requests_total";
    assert_eq!(scene.counted_with(name, "status=\"499\"").await, 1);
    assert_eq!(scene.counted(name).await, 1);

    // What the committer had in hand took effect; the same key tells.
    blocker.rollback().await.unwrap();
    let transfers = "/v1/ledgers/main/transfers";
    let body = serde_json::from_str(&body).unwrap();
    let (status, _, answer) = scene.post(transfers, "k-gone", None, &body).await;
    assert_eq!(status, 201, "{answer}");
}
