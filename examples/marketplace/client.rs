//! The requests of the day, sent to the HTTP API, and what is read there.

use anyhow::{Result, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::day::{Request, Way};
use crate::stage::http::{Http, unexpected};
use crate::wire::{Answer, one_of_batch, single, transaction, transfer};
use crate::world::{Wallet, World};

/// Rows of one page of a list.
const PAGE: usize = 1_000;

/// Talks to one ledger.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: Http,
}

/// The answers on one request, and whether it had to be asked more than once.
#[derive(Debug)]
pub(crate) struct Answers {
    pub answers: Vec<Answer>,
    pub asked_again: bool,
}

impl Client {
    pub(crate) fn new(address: &str, ledger: &str, connections: usize) -> Result<Self> {
        let http = Http::new(address, ledger, connections)?;
        Ok(Self { http })
    }

    /// Makes the ledger, which must be new.
    pub(crate) async fn create_ledger(&self) -> Result<()> {
        self.http.create_ledger().await
    }

    /// Makes a wallet.
    pub(crate) async fn create_wallet(&self, wallet: &Wallet) -> Result<()> {
        let currency = wallet.currency.code();
        let body = json!({
            "address": wallet.address, "currency": currency, "min_balance": wallet.floor,
        });
        let key = format!("{} {currency}", wallet.address);
        let raw = self
            .http
            .post(&self.http.path("wallets"), &key, &body)
            .await?;
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
        let raw = self.http.post(&self.http.path(path), key, &body).await?;
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
        self.http
            .pages(
                &format!("{}?limit={PAGE}", self.http.path("wallets")),
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
        let path = self.http.path(&format!("wallets/{address}/entries"));
        self.http
            .pages(&format!("{path}?currency={currency}&limit={PAGE}"), read)
            .await
    }
}
