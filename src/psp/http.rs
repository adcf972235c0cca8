//! One HTTP call, bounded in time and in length.
//!
//! Hyper rather than reqwest: with ring as the provider of its cryptography, every client of
//! reqwest in the process would panic that was built before somebody installed ring globally.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How patient a client is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Making a connection.
    pub connect_timeout: Duration,
    /// The whole call.
    pub timeout: Duration,
    /// Bytes of an answer's body.
    pub body_bytes_max: usize,
}

/// A client. Clones share its connections. It follows no redirects: a secret must not go
/// elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    bounds: Bounds,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// Nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the connection broke: {0}")]
    Cut(String),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Http {
    /// # Errors
    /// Where TLS can't be set up.
    pub(crate) fn new(bounds: Bounds) -> Result<Self, rustls::Error> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(bounds.connect_timeout));
        tcp.set_nodelay(true);
        // Which of the two it is, is the address's to say.
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Ok(Self { client, bounds })
    }

    /// Sends it once. Where a connection out of the pool was closed before any of the request was
    /// written, another one is made; what was written is never written again.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, Silence> {
        let call = async {
            let answered = self.client.request(request).await;
            let response = answered.map_err(|error| match error.is_connect() {
                true => Silence::Unreachable(chain(&error)),
                false => Silence::Cut(chain(&error)),
            })?;
            self.read(response).await
        };
        match tokio::time::timeout(self.bounds.timeout, call).await {
            Ok(done) => done,
            Err(_) => Err(Silence::Timeout(self.bounds.timeout)),
        }
    }

    async fn read(&self, response: Response<hyper::body::Incoming>) -> Result<Reply, Silence> {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds: u64| Duration::from_secs(seconds.min(RETRY_AFTER_MAX_S)));
        let limited = Limited::new(response.into_body(), self.bounds.body_bytes_max);
        let body = limited.collect().await.map_err(|error| {
            match error.downcast_ref::<LengthLimitError>() {
                Some(_) => Silence::TooLong(self.bounds.body_bytes_max),
                None => Silence::Cut(chain(error.as_ref())),
            }
        })?;
        Ok(Reply {
            status,
            retry_after,
            body: body.to_bytes(),
        })
    }
}

/// Nobody is told to stay away for longer than a day.
const RETRY_AFTER_MAX_S: u64 = 86_400;

/// An error with its causes. Hyper's hold no header and no body.
fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = error.source();
    }
    told
}
