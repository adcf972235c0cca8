//! Answers that no provider should give, from a server that gives them.

use aegis::psp::{Psp, PspError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::scene::{adapter, transfer};

/// Answers every connection with these bytes, then closes it. The requests come out of the channel.
async fn answering(bytes: Vec<u8>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            drop(sender.send(text));
            // The client may have had enough.
            drop(stream.write_all(&bytes).await);
        }
    });
    (url, requests)
}

fn http(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn huge_and_garbled_answers_are_unknown() {
    let huge = [
        br#"{"status":true,"message":"ok","data":""#.as_slice(),
        &vec![b'a'; 70_000],
    ]
    .concat();
    let right = br#"{"status":true,"message":"ok","data":{"id":1}}"#;
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b' '; 4 << 20]].concat();
    for (what, bytes) in [
        ("a body beyond the limit", http("200 OK", &huge)),
        ("a body beyond the limit, without its length", endless),
        ("data of another form", http("200 OK", right)),
        ("no JSON", http("200 OK", b"<html>")),
        ("no UTF-8", http("200 OK", &[0xff, 0xfe, 0x00])),
        ("nesting without end", http("200 OK", &vec![b'['; 60_000])),
        ("nothing in it", http("200 OK", b"")),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("nothing", Vec::new()),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
        (
            "less than its length",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec(),
        ),
        (
            "a proxy's no",
            http("404 Not Found", b"<html>no such page</html>"),
        ),
        (
            "a no of another form",
            http("404 Not Found", br#"{"error":"not found"}"#),
        ),
        ("an error with a yes in it", http("503 Unavailable", right)),
    ] {
        let (url, _requests) = answering(bytes).await;
        let psp = adapter(&url, |_| ());
        for error in [
            psp.verify_transfer("po_1").await.unwrap_err(),
            psp.transfer(&transfer("po_1", 1_000, "RCP_a"))
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, PspError::Unknown { .. }), "{what}: {error}");
            assert!(error.to_string().len() < 500, "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let yes = http("200 OK", br#"{"status":true,"message":"ok","data":{}}"#);
    let (elsewhere, mut requests) = answering(yes).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let head = format!("{status}\r\nlocation: {elsewhere}/transfer");
        let (url, _requests) = answering(http(&head, b"")).await;
        let psp = adapter(&url, |_| ());
        let error = psp
            .transfer(&transfer("po_1", 1_000, "RCP_a"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, PspError::Unknown { .. }),
            "{status}: {error}"
        );
    }
    assert!(requests.try_recv().is_err(), "the key went nowhere else");
}

#[tokio::test]
async fn a_request_is_what_the_documentation_says() {
    let (url, mut requests) = answering(http("200 OK", b"{}")).await;
    let psp = adapter(&url, |_| ());
    drop(psp.transfer(&transfer("po_1", 1_000, "RCP_a")).await);
    let request = requests.recv().await.unwrap();
    assert!(
        request.starts_with("POST /transfer HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("authorization: Bearer sk_test_0123456789abcdef\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/json\r\n"),
        "{request}"
    );
    let body = request.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(body).unwrap(),
        serde_json::json!({"source": "balance", "amount": 1_000, "recipient": "RCP_a",
                           "reference": "po_1", "reason": "payout", "currency": "NGN"})
    );
    drop(psp.verify_transfer("po_1").await);
    let request = requests.recv().await.unwrap();
    assert!(
        request.starts_with("GET /transfer/verify/po_1 HTTP/1.1\r\n"),
        "{request}"
    );
}
