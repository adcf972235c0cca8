//! The JSON of the API: requests from postings, verdicts from answers.

use anyhow::{Result, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::book::{Posting, Verdict};
use crate::stage::http::{Raw, unexpected};
use crate::world::World;

/// What the API answered on one posting.
#[derive(Debug)]
pub(crate) struct Answer {
    pub verdict: Verdict,
    pub transaction_id: Option<Uuid>,
    /// The movements that the API says it made; in answers on batches they aren't told.
    pub entries: Option<Vec<(String, i64)>>,
    /// Why it was refused, in words.
    pub detail: String,
}

pub(crate) fn single(raw: &Raw) -> Result<Answer> {
    let body = &raw.body;
    let verdict = match (raw.status, body["status"].as_str(), body["code"].as_str()) {
        (StatusCode::CREATED, Some("posted"), _) if raw.replayed => Verdict::Replayed,
        (StatusCode::CREATED, Some("posted"), _) => Verdict::Posted,
        (StatusCode::UNPROCESSABLE_ENTITY, _, Some(code)) => Verdict::Refused(code.to_owned()),
        _ => return Err(unexpected("posting", raw)),
    };
    let entry = |entry: &Value| {
        let address = entry["address"].as_str()?.to_owned();
        Some((address, entry["amount"].as_i64()?))
    };
    let entries = body["entries"].as_array();
    Ok(Answer {
        verdict,
        transaction_id: transaction_id(body),
        entries: entries.and_then(|entries| entries.iter().map(entry).collect()),
        detail: detail(body),
    })
}

/// One of a batch that took effect now, or whose first answer is told again.
pub(crate) fn one_of_batch(result: &Value, batch_replayed: bool) -> Answer {
    let verdict = match (result["status"].as_str(), result["code"].as_str()) {
        (Some("posted"), _) if !batch_replayed => Verdict::Posted,
        (Some("posted" | "replayed"), _) => Verdict::Replayed,
        (_, code) => Verdict::Refused(code.unwrap_or("without a code").to_owned()),
    };
    Answer {
        verdict,
        transaction_id: transaction_id(result),
        entries: None,
        detail: detail(result),
    }
}

fn transaction_id(body: &Value) -> Option<Uuid> {
    body["transaction_id"].as_str()?.parse().ok()
}

fn detail(body: &Value) -> String {
    body["detail"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn transfer(world: &World, posting: &Posting) -> Result<Value> {
    let &[(from, _), (to, amount)] = posting.legs.as_slice() else {
        bail!("a transfer has two legs");
    };
    Ok(json!({
        "source": world.wallets[from].address,
        "destination": world.wallets[to].address,
        "currency": posting.currency.code(),
        "amount": amount,
        "reference": posting.reference,
        "effective_at": posting.at.format(&Rfc3339)?,
    }))
}

pub(crate) fn transaction(world: &World, posting: &Posting) -> Result<Value> {
    let leg = |&(wallet, amount): &(usize, i64)| {
        let address = &world.wallets[wallet].address;
        json!({"wallet": address, "currency": posting.currency.code(), "amount": amount})
    };
    Ok(json!({
        "legs": posting.legs.iter().map(leg).collect::<Vec<_>>(),
        "reference": posting.reference,
        "effective_at": posting.at.format(&Rfc3339)?,
    }))
}
