//! A client of the HTTP API that does what every client of a ledger has to: give each request a
//! key, and where there was no answer, ask again with the same key until there is one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::day::{Request, Way};
use crate::wire::{Answer, Raw, one_of_batch, single, transaction, transfer, unexpected};
use crate::world::{Wallet, World};

/// How long an answer is waited for, over all tries.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows of one page of a list.
const PAGE: usize = 1_000;

/// Talks to one ledger.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    ledger: String,
}

/// The answers on one request, and whether it had to be asked more than once.
#[derive(Debug)]
pub(crate) struct Answers {
    pub answers: Vec<Answer>,
    pub asked_again: bool,
}

impl Client {
    pub(crate) fn new(address: &str, ledger: &str, connections: usize) -> Result<Self> {
        let http = reqwest::Client::builder()
            // It is on this machine.
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(connections)
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            http,
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

    /// Makes a wallet.
    pub(crate) async fn create_wallet(&self, wallet: &Wallet) -> Result<()> {
        let currency = wallet.currency.code();
        let body = json!({
            "address": wallet.address, "currency": currency, "min_balance": wallet.floor,
        });
        let key = format!("{} {currency}", wallet.address);
        let raw = self.post(&self.path("wallets"), &key, &body).await?;
        match raw.status {
            StatusCode::CREATED => Ok(()),
            _ => Err(unexpected("making a wallet", &raw)),
        }
    }

    /// Sends a request of the day.
    pub(crate) async fn send(&self, world: &World, request: &Request) -> Result<Answers> {
        let (path, key, body) = match (&request.way, request.postings.as_slice()) {
            (Way::Transfer, [one]) => ("transfers", &one.key, transfer(world, one)?),
            (Way::Transaction, [one]) => ("transactions", &one.key, transaction(world, one)?),
            (Way::Batch { key, atomic }, many) => {
                let mut transfers = Vec::with_capacity(many.len());
                for posting in many {
                    let mut transfer = transfer(world, posting)?;
                    transfer["idempotency_key"] = json!(posting.key);
                    transfers.push(transfer);
                }
                let body = json!({"transfers": transfers, "atomic": atomic});
                ("transfers/batch", key, body)
            }
            (_, many) => bail!("{} postings can't be sent as one", many.len()),
        };
        let raw = self.post(&self.path(path), key, &body).await?;
        let asked_again = raw.asked_again;
        let answers = match (&request.way, raw.body["results"].as_array()) {
            (Way::Batch { .. }, Some(results)) => {
                let answer = |result| one_of_batch(result, raw.replayed);
                results.iter().map(answer).collect()
            }
            (Way::Batch { .. }, None) => return Err(unexpected("posting a batch", &raw)),
            _ => vec![single(&raw)?],
        };
        Ok(Answers {
            answers,
            asked_again,
        })
    }

    /// All wallets, page by page, as (address, currency, balance).
    pub(crate) async fn balances(&self) -> Result<Vec<(String, String, i64)>> {
        let mut balances = Vec::new();
        self.pages(
            &format!("{}?limit={PAGE}", self.path("wallets")),
            |wallet| {
                let text = |name: &str| Some(wallet[name].as_str()?.to_owned());
                balances.push((
                    text("address")?,
                    text("currency")?,
                    wallet["balance"].as_i64()?,
                ));
                Some(())
            },
        )
        .await?;
        Ok(balances)
    }

    /// A wallet's statement: what each entry says, from the first to the last.
    pub(crate) async fn statement(
        &self,
        wallet: &Wallet,
        read: impl FnMut(&Value) -> Option<()>,
    ) -> Result<()> {
        let (address, currency) = (&wallet.address, wallet.currency.code());
        let path = self.path(&format!("wallets/{address}/entries"));
        self.pages(&format!("{path}?currency={currency}&limit={PAGE}"), read)
            .await
    }

    async fn pages(&self, url: &str, mut read: impl FnMut(&Value) -> Option<()>) -> Result<()> {
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

    fn path(&self, path: &str) -> String {
        format!("{}/v1/ledgers/{}/{path}", self.server, self.ledger)
    }

    async fn post(&self, url: &str, key: &str, body: &Value) -> Result<Raw> {
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
