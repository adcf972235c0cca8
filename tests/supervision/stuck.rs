//! What counts as stuck, and what doesn't.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Supervisor;
use crate::callers::with_wallets;
use crate::common::TestDatabase;
use crate::support::PATIENCE;

/// Posts one transfer: the answer's status.
fn post(address: &str, key: &str) -> JoinHandle<u16> {
    let address: SocketAddr = address.parse().unwrap();
    let request = reqwest::Client::new()
        .post(format!("http://{address}/v1/ledgers/main/transfers"))
        .header("Idempotency-Key", key)
        .json(&transfer());
    tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
}

fn transfer() -> Value {
    json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 1})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committer_that_stands_still_while_commands_wait_is_stuck() {
    let (database, _) = with_wallets().await;
    let supervisor = Supervisor::listening();
    let settings = supervisor
        .settings(&database)
        .with("WATCHDOG_USEC", "200000")
        .with("RELAY_POLL_MS", "100")
        .with("SERVER_STUCK_AFTER_MS", "1000");
    let mut daemon = settings.start().await;
    daemon.logged("this relay has the outbox").await;
    supervisor.hears("WATCHDOG=1").await;
    // A batch has 3 s for its locks: it stands still for longer than may be.
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let waits = post(&daemon.address, "waits");
    let is_told = |said: &str| said.contains("the committer is stuck");
    supervisor
        .hears_that("the committer is stuck", is_told)
        .await;
    let began = Instant::now();
    while !daemon
        .all_logged("a loop does not turn; the watchdog is not fed")
        .iter()
        .any(|line| line["part"] == "committer")
    {
        assert!(began.elapsed() < PATIENCE, "it is not logged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It gave the batch up, or has it done: it turns again.
    blocker.rollback().await.unwrap();
    let status = waits.await.unwrap();
    assert!([201, 503].contains(&status), "{status}");
    supervisor.forget();
    supervisor.hears("WATCHDOG=1").await;
    assert_eq!(post(&daemon.address, "goes-on").await.unwrap(), 201);
    assert_eq!(daemon.stop().await, Some(0));
}

/// An idle relay that looks once a minute rests; it hangs in nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_has_nothing_to_do_is_not_stuck_however_seldom_it_looks() {
    let database = TestDatabase::create().await;
    let supervisor = Supervisor::listening();
    let settings = supervisor
        .settings(&database)
        .with("WATCHDOG_USEC", "400000")
        .with("RELAY_POLL_MS", "60000")
        .with("SERVER_STUCK_AFTER_MS", "8000");
    let mut daemon = settings.start().await;
    daemon.logged("this relay has the outbox").await;
    // Twelve seconds.
    for _ in 0..60 {
        supervisor.hears("WATCHDOG=1").await;
    }
    assert!(!daemon.has_logged("a loop does not turn; the watchdog is not fed"));
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_it_stops_no_status_says_that_it_serves() {
    let (database, _) = with_wallets().await;
    let supervisor = Supervisor::listening();
    let settings = supervisor
        .settings(&database)
        .with("WATCHDOG_USEC", "100000");
    let mut daemon = settings.start().await;
    // Let in before the stop, it may still ask for something.
    let mut late = TcpStream::connect(&daemon.address).await.unwrap();
    // The drain takes as long as this posting does.
    let mut blocker = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let waits = post(&daemon.address, "waits");
    let is_told = |said: &str| said.contains("1 commands are being posted");
    supervisor.hears_that("what is posted", is_told).await;
    daemon.terminate();
    supervisor.hears("STOPPING=1").await;
    // There is something new to tell.
    let body = transfer().to_string();
    let request = format!(
        "POST /v1/ledgers/main/transfers HTTP/1.1\r\nHost: here\r\nIdempotency-Key: late\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    late.write_all(request.as_bytes()).await.unwrap();
    let ended = loop {
        tokio::select! {
            said = supervisor.heard() => assert!(!said.contains("serving"), "{said}"),
            ended = daemon.ended() => break ended,
        }
    };
    assert!(ended.success(), "{ended}");
    assert_eq!(waits.await.unwrap(), 503, "nobody let go of the table");
    blocker.rollback().await.unwrap();
}
