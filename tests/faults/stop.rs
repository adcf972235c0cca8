//! SIGTERM: what was accepted is answered, what was committed is published, then it is gone.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::{CURRENCY, Scene, WALLETS, WORLD};
use crate::seed;
use crate::seen::Fate;
use crate::support::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_told_to_stop_answers_all_it_took_and_publishes_all_it_committed() {
    let seed = seed();
    let scene = Scene::new().await;
    let mut daemon = scene.daemon().start().await;
    let load = Load::start(8, seed, &[&daemon]);
    load.answers(200).await;
    load.give_up_on_silence();
    let told = Instant::now();
    daemon.terminate();
    assert_eq!(daemon.ended().await.code(), Some(0));
    let took = told.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
    let refused = TcpStream::connect(&daemon.address).await;
    assert!(refused.is_err(), "nobody is there any more");
    // Not waited for: the daemon saw to it.
    assert_eq!(scene.waiting().await, 0, "the outbox is empty");
    let log = load.finish().await;
    let silenced = log.sent.iter().filter(|sent| sent.fate == Fate::Unknown);
    eprintln!("{} went unheard; it took {took:?}", silenced.count());
    assert_all_is_well(&scene, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_is_answered_while_new_connections_are_refused() {
    let scene = Scene::new().await;
    let mut daemon = scene.daemon().start().await;
    let body = json!({
        "source": WORLD, "destination": WALLETS[0], "currency": CURRENCY, "amount": 1,
    });
    let body = body.to_string();
    let (half, rest) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /v1/ledgers/main/transfers HTTP/1.1\r\nHost: aegis\r\nIdempotency-Key: held\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut request = TcpStream::connect(&daemon.address).await.unwrap();
    request.write_all(head.as_bytes()).await.unwrap();
    // That it wants the body shows that it has the request.
    let asks = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = [0; 25];
    request.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, asks);
    request.write_all(half.as_bytes()).await.unwrap();
    let mut idle = kept_alive(&daemon.address).await;

    daemon.terminate();
    daemon.logged("stopping").await;
    refuses(&daemon.address).await;
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0, "it is closed");
    assert!(daemon.runs(), "it is not done yet");
    request.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    request.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert_eq!(scene.waiting().await, 0, "the outbox is empty");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_log_nobody_reads_any_more_posts_and_ends_as_ever() {
    let scene = Scene::new().await;
    // So that it logs every request.
    let settings = scene.daemon().with("RUST_LOG", "info");
    let mut daemon = settings.start_unheard().await;
    let body = json!({
        "source": WORLD, "destination": WALLETS[0], "currency": CURRENCY, "amount": 1,
    });
    let url = format!("http://{}/v1/ledgers/main/transfers", daemon.address);
    let request = reqwest::Client::new().post(url).json(&body);
    let answer = request.header("Idempotency-Key", "unheard").send().await;
    assert_eq!(answer.unwrap().status(), 201);
    daemon.terminate();
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert_eq!(scene.waiting().await, 0, "the outbox is empty");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_say_nothing_or_half_of_it_do_not_hold_up_the_end() {
    let scene = Scene::new().await;
    let mut daemon = scene
        .daemon()
        // Without a cut the end would wait for the head of a request, 60 s.
        .with("SERVER_SHUTDOWN_DEADLINE_MS", "20000")
        .start()
        .await;
    let _silent = TcpStream::connect(&daemon.address).await.unwrap();
    let mut half = TcpStream::connect(&daemon.address).await.unwrap();
    half.write_all(b"POST /v1/ledgers/main/transfers HT")
        .await
        .unwrap();
    // Both are with the server once it has answered one that came later.
    kept_alive(&daemon.address).await;
    daemon.terminate();
    assert_eq!(daemon.ended().await.code(), Some(0));
}

/// A connection that has been answered once and stays open.
async fn kept_alive(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: aegis\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    stream
}

async fn refuses(address: &str) {
    let started = Instant::now();
    while TcpStream::connect(address).await.is_ok() {
        assert!(started.elapsed() < PATIENCE, "it still takes connections");
        sleep(Duration::from_millis(5)).await;
    }
}
