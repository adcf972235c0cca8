//! Over a real connection: what only shows there.

use std::time::Duration;

use aegis::api::Limits;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::TestApi;

struct Served {
    api: TestApi,
    address: std::net::SocketAddr,
}

impl Served {
    async fn new(limits: Limits) -> Self {
        let api = TestApi::with_limits(limits).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = api.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { api, address }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn head(path: &str, extra: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n{extra}\r\n"
    )
}

/// The whole answer as text.
async fn answer(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

const TRANSFERS: &str = "/v1/ledgers/main/transfers";

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_sender_sees_it() {
    let limits = Limits {
        body_bytes_max: 2 * 1024 * 1024,
        ..Limits::default()
    };
    let served = Served::new(limits).await;
    let body = vec![b' '; 10 * 1024 * 1024];
    let mut connection = served.connect().await;
    let head = head(TRANSFERS, "idempotency-key: k\r\n", body.len());
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body).await.unwrap();
    let text = answer(&mut connection).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(
        text.contains("\"code\":\"body_too_large\"") && text.contains("2097152"),
        "{text}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_in_chunks_is_refused() {
    let limits = Limits {
        body_bytes_max: 100_000,
        ..Limits::default()
    };
    let served = Served::new(limits).await;
    let mut connection = served.connect().await;
    let head = head(TRANSFERS, "idempotency-key: k\r\n", 0)
        .replace("content-length: 0", "transfer-encoding: chunked");
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 20_000, " ".repeat(20_000));
    for _ in 0..10 {
        connection.write_all(chunk.as_bytes()).await.unwrap();
    }
    connection.write_all(b"0\r\n\r\n").await.unwrap();
    let text = answer(&mut connection).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_before_sending() {
    let served = Served::new(Limits::default()).await;
    let mut connection = served.connect().await;
    let head = head(
        TRANSFERS,
        "idempotency-key: k\r\nexpect: 100-continue\r\n",
        100_000_000,
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let text = answer(&mut connection).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_refused() {
    let served = Served::new(Limits::default()).await;
    let mut connection = served.connect().await;
    let body = b"{\"source\": \"\xc3\x28\"}";
    let head = head(TRANSFERS, "idempotency-key: k\r\n", body.len());
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body).await.unwrap();
    let text = answer(&mut connection).await;
    assert!(
        text.starts_with("HTTP/1.1 400") && text.contains("json_invalid"),
        "{text}"
    );
}

#[tokio::test]
async fn a_key_of_ten_kilobytes_is_refused_in_our_words() {
    let served = Served::new(Limits::default()).await;
    let mut connection = served.connect().await;
    let key = format!("idempotency-key: {}\r\n", "k".repeat(10 * 1024));
    connection
        .write_all(head(TRANSFERS, &key, 2).as_bytes())
        .await
        .unwrap();
    connection.write_all(b"{}").await.unwrap();
    let text = answer(&mut connection).await;
    assert!(
        text.starts_with("HTTP/1.1 400") && text.contains("idempotency_key_invalid"),
        "{text}"
    );
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_takes_no_effect() {
    let limits = Limits {
        request_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let served = Served::new(limits).await;
    let before = served.api.rows().await;
    let mut connection = served.connect().await;
    let body = json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    let body = body.to_string();
    let head = head(TRANSFERS, "idempotency-key: k\r\n", body.len());
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
        .write_all(&body.as_bytes()[..body.len() / 2])
        .await
        .unwrap();
    let text = answer(&mut connection).await;
    assert!(
        text.starts_with("HTTP/1.1 408") && text.contains("body_timeout"),
        "{text}"
    );
    assert_eq!(served.api.rows().await, before);
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_body_takes_no_effect() {
    let served = Served::new(Limits::default()).await;
    let before = served.api.rows().await;
    let mut connection = served.connect().await;
    let head = head(TRANSFERS, "idempotency-key: k\r\n", 1_000);
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(b"{\"source\": ").await.unwrap();
    connection.shutdown().await.unwrap();
    drop(answer(&mut connection).await);
    assert_eq!(served.api.rows().await, before);
}
