//! A client as good ones are: it asks with the same key until there is an answer to go by. Now and
//! then it hangs up in the middle, and asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;

/// What all clients together saw.
#[derive(Default)]
pub(crate) struct Tally {
    /// Requests, repeats among them.
    pub(crate) sent: AtomicU64,
    /// 200 and 201.
    pub(crate) done: AtomicU64,
    /// A rule's no.
    pub(crate) rejected: AtomicU64,
    /// 503 and 504.
    pub(crate) unavailable: AtomicU64,
    /// 409 and 429.
    pub(crate) later: AtomicU64,
    /// Hung up on, or the connection broke.
    pub(crate) unanswered: AtomicU64,
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) struct Caller {
    http: reqwest::Client,
    base: String,
    tally: Arc<Tally>,
    pub(crate) stop: CancellationToken,
    pub(crate) rng: Rng,
    /// Before each of its keys.
    name: String,
    keys: u64,
}

/// An answer to go by.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 200 or 201, and whether it is one from before.
    Done { body: Value, replayed: bool },
    /// By this code.
    Rejected(String),
}

impl Answer {
    /// The id of what was made.
    pub(crate) fn id(&self, name: &str) -> Option<uuid::Uuid> {
        match self {
            Self::Done { body, .. } => {
                let id = body[name].as_str().and_then(|id| id.parse().ok());
                Some(id.unwrap_or_else(|| panic!("no {name} in {body}")))
            }
            Self::Rejected(_) => None,
        }
    }
}

impl Caller {
    pub(crate) fn new(
        name: String,
        address: &str,
        tally: Arc<Tally>,
        stop: CancellationToken,
        seed: u64,
    ) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .user_agent("soak")
            .no_proxy();
        Self {
            http: http.build().unwrap(),
            base: format!("http://{address}/v1/ledgers/main"),
            tally,
            stop,
            rng: Rng::with_seed(seed),
            name,
            keys: 0,
        }
    }

    /// A key that is new.
    pub(crate) fn key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.name, self.keys)
    }

    /// Waits about so long; false once it is over.
    pub(crate) async fn pause(&mut self, ms: std::ops::Range<u64>) -> bool {
        sleep(Duration::from_millis(self.rng.u64(ms))).await;
        !self.stop.is_cancelled()
    }

    /// Asks under this key until there is an answer to go by.
    pub(crate) async fn ask(&mut self, path: &str, key: &str, body: &Value) -> Answer {
        let began = Instant::now();
        loop {
            let request = self.http.post(format!("{}/{path}", self.base));
            let request = request.header("Idempotency-Key", key).json(body);
            let hangs_up = self.rng.u8(..20) == 0;
            let patience = match hangs_up {
                true => Duration::from_micros(self.rng.u64(..15_000)),
                false => PATIENCE,
            };
            if let Ok(Some((status, replayed, body))) = timeout(patience, self.send(request)).await
            {
                match status {
                    200 | 201 => {
                        one_more(&self.tally.done);
                        return Answer::Done { body, replayed };
                    }
                    422 => {
                        one_more(&self.tally.rejected);
                        let code = body["code"].as_str().expect("a problem has a code");
                        return Answer::Rejected(code.to_owned());
                    }
                    status => self.come_again(status, path, &body),
                }
            } else {
                one_more(&self.tally.unanswered);
            }
            assert!(began.elapsed() < PATIENCE, "no answer to {key} at {path}");
            self.pause(20..200).await;
        }
    }

    /// Reads; nothing where one is told to come again.
    pub(crate) async fn read(&mut self, path: &str) -> Option<Value> {
        let request = self.http.get(format!("{}/{path}", self.base));
        let Some((status, _, body)) = self.send(request).await else {
            one_more(&self.tally.unanswered);
            return None;
        };
        if status == 200 {
            one_more(&self.tally.done);
            return Some(body);
        }
        self.come_again(status, path, &body);
        None
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Option<(u16, bool, Value)> {
        one_more(&self.tally.sent);
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotent-replayed");
        let body = response.json().await.ok()?;
        Some((status, replayed, body))
    }

    /// 409: a request of that key is under way, or was hung up on a moment ago.
    fn come_again(&self, status: u16, path: &str, body: &Value) {
        match status {
            503 | 504 => one_more(&self.tally.unavailable),
            409 | 429 => one_more(&self.tally.later),
            _ => panic!("{path} was answered with {status}: {body}"),
        }
    }
}
