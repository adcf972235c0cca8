//! A client that does what every client of a ledger has to: give each request a key, and where
//! there was no answer, ask again with the same key until there is one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long an answer is waited for, over all tries.
const PATIENCE: Duration = Duration::from_secs(30);

/// Talks to one ledger of aegisd's.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    http: reqwest::Client,
    server: String,
    ledger: String,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub status: StatusCode,
    pub body: Value,
    /// The header says that it had taken effect before.
    pub replayed: bool,
    pub asked_again: bool,
}

impl Http {
    pub(crate) fn new(address: &str, ledger: &str, connections: usize) -> Result<Self> {
        Ok(Self {
            http: plain(connections)?,
            server: format!("http://{address}"),
            ledger: ledger.to_owned(),
        })
    }

    /// Makes the ledger, which must be new.
    pub(crate) async fn create_ledger(&self) -> Result<()> {
        let url = format!("{}/v1/ledgers", self.server);
        let raw = self
            .post(&url, &self.ledger, &json!({"name": self.ledger}))
            .await?;
        match raw.status {
            StatusCode::CREATED if raw.replayed && !raw.asked_again => {
                bail!("the ledger {} exists already", self.ledger)
            }
            StatusCode::CREATED => Ok(()),
            _ => Err(unexpected("making the ledger", &raw)),
        }
    }

    /// The address of something in the ledger.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}/v1/ledgers/{}/{path}", self.server, self.ledger)
    }

    /// All items of a list, page by page.
    pub(crate) async fn pages(
        &self,
        url: &str,
        mut read: impl FnMut(&Value) -> Option<()>,
    ) -> Result<()> {
        let mut next = url.to_owned();
        loop {
            let raw = self.ask(Method::GET, &next, "", Vec::new()).await?;
            let items = raw.body["items"].as_array();
            let items = items.ok_or_else(|| unexpected("reading a list", &raw))?;
            for item in items {
                read(item).with_context(|| format!("the list holds {item}"))?;
            }
            match raw.body["next"].as_str() {
                Some(after) => next = format!("{url}&after={after}"),
                None => return Ok(()),
            }
        }
    }

    pub(crate) async fn post(&self, url: &str, key: &str, body: &Value) -> Result<Raw> {
        self.ask(Method::POST, url, key, serde_json::to_vec(body)?)
            .await
    }

    /// Asks until there is an answer that is not "try again": no answer at all, which leaves open
    /// whether the request took effect, or one with `Retry-After`. The key makes that safe.
    async fn ask(&self, method: Method, url: &str, key: &str, body: Vec<u8>) -> Result<Raw> {
        let began = Instant::now();
        let mut wait = Duration::from_millis(20);
        let mut asked_again = false;
        loop {
            let request = self
                .http
                .request(method.clone(), url)
                .header(CONTENT_TYPE, "application/json")
                .header("Idempotency-Key", key)
                .body(body.clone());
            let trouble = match answer(request).await {
                Ok((status, headers, body)) => match retry_after(status, &headers) {
                    None => {
                        return Ok(Raw {
                            status,
                            body,
                            replayed: headers.contains_key("idempotent-replayed"),
                            asked_again,
                        });
                    }
                    Some(asked) => {
                        wait = asked;
                        anyhow!("{status}: {body}")
                    }
                },
                Err(error) => error.into(),
            };
            if began.elapsed() > PATIENCE {
                return Err(trouble).with_context(|| format!("no answer on {method} {url}"));
            }
            asked_again = true;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }
}

/// A client of a server on this machine.
pub(crate) fn plain(connections: usize) -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(connections)
        .timeout(Duration::from_secs(30))
        .build()?)
}

async fn answer(
    request: reqwest::RequestBuilder,
) -> reqwest::Result<(StatusCode, HeaderMap, Value)> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok((status, headers, response.json().await?))
}

/// How long to wait, where the answer is only that one should.
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match seconds {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None if status == StatusCode::GATEWAY_TIMEOUT => Some(Duration::from_secs(1)),
        None => None,
    }
}

pub(crate) fn unexpected(doing: &str, raw: &Raw) -> anyhow::Error {
    anyhow!("{doing} was answered with {}: {}", raw.status, raw.body)
}
