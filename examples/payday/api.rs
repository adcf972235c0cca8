//! What is asked of aegisd over HTTP.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stage::http::{Http, Raw, unexpected};
use crate::story::{Order, Refund};
use crate::world::Merchant;

/// Rows of one page of a list.
const PAGE: usize = 1_000;

/// Talks to one ledger.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Http,
}

/// A payment as aegisd tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub id: String,
    pub reference: String,
    pub amount: i64,
    pub fee: i64,
    pub net: i64,
    pub psp_fee: Option<i64>,
    pub period: Option<String>,
    pub is_settled: bool,
}

impl Payment {
    fn read(body: &Value) -> Option<Self> {
        let text = |name: &str| Some(body[name].as_str()?.to_owned());
        Some(Self {
            id: text("id")?,
            reference: text("reference")?,
            amount: body["amount"].as_i64()?,
            fee: body["fee"].as_i64()?,
            net: body["net"].as_i64()?,
            psp_fee: body["psp_fee"].as_i64(),
            period: text("period"),
            is_settled: body["settlement_id"].is_string(),
        })
    }

    /// Whether the customer's money is in.
    pub(crate) fn is_paid(&self) -> bool {
        self.period.is_some()
    }
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Answer {
    Payment(Payment),
    /// By this code.
    Refused(String),
}

impl Api {
    pub(crate) fn new(address: &str, ledger: &str, connections: usize) -> Result<Self> {
        Ok(Self {
            http: Http::new(address, ledger, connections)?,
        })
    }

    pub(crate) async fn create_ledger(&self) -> Result<()> {
        self.http.create_ledger().await
    }

    /// Makes a merchant with its terms and its wallets.
    pub(crate) async fn create_merchant(&self, of: &Merchant, request: &Value) -> Result<()> {
        let url = self.http.path("merchants");
        let raw = self.http.post(&url, &of.name, request).await?;
        match raw.status {
            StatusCode::CREATED => Ok(()),
            _ => Err(unexpected("making a merchant", &raw)),
        }
    }

    /// Asks for a payment, under this key.
    pub(crate) async fn pay(&self, merchant: &str, order: &Order, key: &str) -> Result<Answer> {
        let body = json!({
            "merchant": merchant,
            "amount": order.amount,
            "currency": order.currency.code(),
            "email": "customer@example.com",
            "reference": order.reference,
        });
        let raw = self
            .http
            .post(&self.http.path("payments"), key, &body)
            .await?;
        match (raw.status, raw.body["code"].as_str()) {
            (StatusCode::CREATED, _) => Ok(Answer::Payment(payment(&raw)?)),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(code)) => Ok(Answer::Refused(code.to_owned())),
            _ => Err(unexpected("asking for a payment", &raw)),
        }
    }

    /// Gives a part of a payment back: the refund's id, or the code of the rule that says no.
    pub(crate) async fn refund(
        &self,
        payment: &str,
        refund: &Refund,
    ) -> Result<std::result::Result<String, String>> {
        let body = json!({"amount": refund.amount});
        let url = self.http.path(&format!("payments/{payment}/refunds"));
        let raw = self.http.post(&url, &refund.key, &body).await?;
        match (raw.status, raw.body["code"].as_str()) {
            (StatusCode::CREATED, _) => {
                let id = raw.body["id"].as_str();
                Ok(Ok(id.with_context(|| format!("{}", raw.body))?.to_owned()))
            }
            (StatusCode::UNPROCESSABLE_ENTITY, Some(code)) => Ok(Err(code.to_owned())),
            _ => Err(unexpected("asking for a refund", &raw)),
        }
    }

    /// All payments, by reference.
    pub(crate) async fn payments(&self) -> Result<BTreeMap<String, Payment>> {
        let mut payments = BTreeMap::new();
        self.list("payments", |item| {
            let payment = Payment::read(item)?;
            payments.insert(payment.reference.clone(), payment);
            Some(())
        })
        .await?;
        Ok(payments)
    }

    /// All items of a list as JSON.
    pub(crate) async fn all(&self, list: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        self.list(list, |item| {
            all.push(item.clone());
            Some(())
        })
        .await?;
        Ok(all)
    }

    /// All wallets' balances, by address and currency.
    pub(crate) async fn balances(&self) -> Result<BTreeMap<(String, String), i64>> {
        let mut balances = BTreeMap::new();
        self.list("wallets", |wallet| {
            let text = |name: &str| Some(wallet[name].as_str()?.to_owned());
            let wallet = (
                (text("address")?, text("currency")?),
                wallet["balance"].as_i64()?,
            );
            balances.insert(wallet.0, wallet.1);
            Some(())
        })
        .await?;
        Ok(balances)
    }

    async fn list(&self, name: &str, read: impl FnMut(&Value) -> Option<()>) -> Result<()> {
        let url = format!("{}?limit={PAGE}", self.http.path(name));
        self.http.pages(&url, read).await
    }
}

fn payment(raw: &Raw) -> Result<Payment> {
    Payment::read(&raw.body).with_context(|| format!("a payment is told as {}", raw.body))
}
