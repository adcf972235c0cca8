//! A lean HTTP client: keep-alive connections that send one request after the other.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::BenchError;

pub(super) struct Client {
    address: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(super) async fn connect(address: &str) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unexpected(&error))?;
        // Ends with the sender; its errors show in the requests.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            address: address.to_owned(),
            sender,
        })
    }

    pub(super) async fn post(
        &mut self,
        path: &str,
        key: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), BenchError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", &self.address)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Full::from(body))
            .map_err(|error| BenchError::Unexpected(error.to_string()))?;
        self.sender
            .ready()
            .await
            .map_err(|error| unexpected(&error))?;
        let answer = self
            .sender
            .send_request(request)
            .await
            .map_err(|error| unexpected(&error))?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| unexpected(&error))?;
        Ok((status, body.to_bytes()))
    }
}

fn unexpected(error: &hyper::Error) -> BenchError {
    BenchError::Unexpected(format!("HTTP failed: {error}"))
}
