//! Webhooks: <https://paystack.com/docs/payments/webhooks/>.
//!
//! The header `x-paystack-signature` is the hexadecimal HMAC-SHA512 of the body's bytes under the
//! secret key. Paystack sends an event until it is answered with 200: in live mode every 3 minutes
//! for the first 4 attempts, then every hour for 72 hours.
//!
//! No event has an id of its own, so one is made: of the kind, the object's id and its status, which
//! are the same when the event is sent again, and differ for what happens to the object next. A
//! refund's event shows no id; its references stand in, and where the processor has given none, the
//! body's SHA-256: a repeat has the same bytes.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256, Sha512};

use super::wire;
use crate::config::Secret;
use crate::json;
use crate::psp::{Refund, RefundStatus, Subject, WebhookError, WebhookEvent};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-paystack-signature";

/// A body's signature, as Paystack makes it.
#[must_use]
pub fn sign(secret_key: &Secret, body: &[u8]) -> String {
    hex(&mac(secret_key, body).map_or_else(Vec::new, |mac| mac.finalize().into_bytes().to_vec()))
}

/// Checks, then reads.
pub(super) fn read(
    secret_key: &Secret,
    body: &[u8],
    signature: Option<&str>,
) -> Result<WebhookEvent, WebhookError> {
    let signature = signature.ok_or(WebhookError::Unsigned)?;
    let signature = unhex(signature.trim()).ok_or(WebhookError::Forged)?;
    let mac = mac(secret_key, body).ok_or(WebhookError::Forged)?;
    // In constant time.
    mac.verify_slice(&signature)
        .map_err(|_| WebhookError::Forged)?;
    event(body)
}

/// Reads what was checked before.
pub(super) fn event(body: &[u8]) -> Result<WebhookEvent, WebhookError> {
    parsed(body).map_err(|reason| WebhookError::Unreadable {
        id: format!("sha256:{}", hash(body)),
        reason,
    })
}

fn mac(secret_key: &Secret, body: &[u8]) -> Option<Hmac<Sha512>> {
    // Any length of a key is taken.
    let mut mac = Hmac::<Sha512>::new_from_slice(secret_key.expose().as_bytes()).ok()?;
    mac.update(body);
    Some(mac)
}

#[derive(Deserialize)]
struct Envelope {
    event: String,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

fn parsed(body: &[u8]) -> Result<WebhookEvent, String> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| json::problem(&error))?;
    let kind = envelope.event;
    let data = envelope.data.as_ref().map_or("null", |data| data.get());
    let (id, subject) = match kind.as_str() {
        "charge.success" | "charge.failed" => charge(&kind, data)?,
        "transfer.success" | "transfer.failed" | "transfer.reversed" => transfer(&kind, data)?,
        "refund.pending"
        | "refund.processing"
        | "refund.processed"
        | "refund.failed"
        | "refund.needs-attention" => refund(&kind, data, body)?,
        "charge.dispute.create" | "charge.dispute.remind" | "charge.dispute.resolve" => {
            dispute(&kind, data)?
        }
        _ => (other(&kind, body), Subject::Other),
    };
    Ok(WebhookEvent { id, kind, subject })
}

fn parse<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, String> {
    serde_json::from_str(data).map_err(|error| format!("its data: {}", json::problem(&error)))
}

fn charge(kind: &str, data: &str) -> Result<(String, Subject), String> {
    let transaction: wire::Transaction = parse(data)?;
    let id = transaction.id();
    let payment = transaction.read()?;
    Ok((
        format!("{kind}:{id}:{}", payment.status),
        Subject::Payment(payment),
    ))
}

fn transfer(kind: &str, data: &str) -> Result<(String, Subject), String> {
    let transfer: wire::Transfer = parse(data)?;
    let id = transfer.id();
    let transfer = transfer.read()?;
    Ok((
        format!("{kind}:{id}:{}", transfer.status),
        Subject::Transfer(transfer),
    ))
}

#[derive(Deserialize)]
struct RefundData {
    #[serde(default)]
    id: Option<u64>,
    status: String,
    transaction_reference: String,
    #[serde(default)]
    refund_reference: Option<String>,
    amount: Digits,
    currency: String,
    #[serde(default)]
    merchant_note: Option<String>,
}

/// The documented refund events have their amounts as texts, `refund.failed` as a number. Nothing
/// else has.
#[derive(Deserialize)]
#[serde(untagged)]
enum Digits {
    Number(i64),
    Text(String),
}

impl Digits {
    fn minor(self) -> Result<i64, String> {
        let minor = match self {
            Self::Number(minor) => minor,
            Self::Text(text) => match text.bytes().all(|b| b.is_ascii_digit()) {
                true => text.parse().map_err(|_| "its amount is no integer")?,
                false => return Err("its amount is no integer".to_owned()),
            },
        };
        wire::amount(minor)
    }
}

fn refund(kind: &str, data: &str, body: &[u8]) -> Result<(String, Subject), String> {
    let data: RefundData = parse(data)?;
    let status = &data.status;
    let id = match (data.id, &data.refund_reference) {
        (Some(id), _) => format!("{kind}:{id}:{status}"),
        (None, Some(reference)) => {
            let payment = &data.transaction_reference;
            format!("{kind}:{payment}:{reference}:{status}")
        }
        (None, None) => other(kind, body),
    };
    let refund = Refund {
        id: data.id.map(|id| id.to_string()),
        payment_reference: Some(data.transaction_reference),
        refund_reference: data.refund_reference,
        amount: data.amount.minor()?,
        currency: wire::currency(&data.currency)?,
        status: RefundStatus::from_word(&data.status),
        merchant_note: data.merchant_note,
    };
    Ok((id, Subject::Refund(refund)))
}

fn dispute(kind: &str, data: &str) -> Result<(String, Subject), String> {
    let dispute: wire::Dispute = parse(data)?;
    let dispute = dispute.read()?;
    let id = format!("{kind}:{}:{}", dispute.id, dispute.status);
    Ok((id, Subject::Dispute(dispute)))
}

fn other(kind: &str, body: &[u8]) -> String {
    let kind: String = kind.chars().take(64).collect();
    format!("{kind}:sha256:{}", hash(body))
}

fn hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    match pairs.remainder().is_empty() {
        true => Some(pairs.map(|pair| pair[0] << 4 | pair[1]).collect()),
        false => None,
    }
}
