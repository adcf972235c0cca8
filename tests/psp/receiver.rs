//! Somebody who receives webhooks.

use std::sync::{Arc, Mutex};

use aegis::psp::{Paystack, Psp, WebhookError, WebhookEvent};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::scene::PATIENCE;

/// A webhook as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub body: Bytes,
    pub signature: Option<String>,
}

impl Received {
    pub fn read(&self, psp: &Paystack) -> Result<WebhookEvent, WebhookError> {
        psp.webhook(&self.body, self.signature.as_deref())
    }
}

pub struct Receiver {
    pub url: String,
    arrivals: mpsc::UnboundedReceiver<Received>,
}

#[derive(Clone)]
struct Shared {
    arrived: mpsc::UnboundedSender<Received>,
    /// What the next ones are answered with; then 200.
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

impl Receiver {
    pub async fn new() -> Self {
        Self::answering(&[]).await
    }

    /// Answers the first ones with these.
    pub async fn answering(answers: &[u16]) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let answers = answers.iter().rev();
        let answers = answers.map(|answer| StatusCode::from_u16(*answer).unwrap());
        let shared = Shared {
            arrived,
            answers: Arc::new(Mutex::new(answers.collect())),
        };
        let router = Router::new().route("/hook", post(take)).with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, arrivals }
    }

    pub async fn next(&mut self) -> Received {
        let arrived = timeout(PATIENCE, self.arrivals.recv()).await;
        arrived.expect("a webhook arrives").unwrap()
    }

    /// The next one, which has to be genuine.
    pub async fn event(&mut self, psp: &Paystack) -> WebhookEvent {
        self.next().await.read(psp).unwrap()
    }

    /// What has arrived and was not asked for yet.
    pub fn rest(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.arrivals.try_recv().ok()).collect()
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("x-paystack-signature");
    let signature = signature.map(|value| value.to_str().unwrap().to_owned());
    shared.arrived.send(Received { body, signature }).unwrap();
    shared
        .answers
        .lock()
        .unwrap()
        .pop()
        .unwrap_or(StatusCode::OK)
}
