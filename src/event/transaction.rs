//! `aegis.transaction.posted`: one transaction with all its entries.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{EventError, utc_rfc3339};
use crate::json;
use crate::ledger::{Ledger, Receipt};

/// A transaction that was committed. Borrows on the way out, since the engine
/// writes one for every transaction that it posts, and owns on the way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionPosted<'a> {
    /// The transaction (UUIDv7).
    pub transaction_id: Uuid,
    /// The ledger's name.
    pub ledger: Cow<'a, str>,
    /// What sort of transaction it is, such as `transfer`.
    pub kind: Cow<'a, str>,
    /// The key under which it was asked for.
    pub idempotency_key: Cow<'a, str>,
    /// The caller's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
    /// The correlation id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Cow<'a, str>>,
    /// When it counts (RFC 3339, UTC).
    #[serde(with = "utc_rfc3339")]
    pub effective_at: OffsetDateTime,
    /// When it was written down (RFC 3339, UTC).
    #[serde(with = "utc_rfc3339")]
    pub recorded_at: OffsetDateTime,
    /// The caller's own JSON, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Cow<'a, serde_json::Value>>,
    /// Its entries; they sum to zero in every currency.
    pub entries: Vec<PostedEntry<'a>>,
}

/// One movement on one wallet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostedEntry<'a> {
    /// The wallet.
    pub wallet_id: Uuid,
    /// The wallet's address, such as `merchant:acme:available`.
    pub address: Cow<'a, str>,
    /// ISO 4217 code.
    pub currency: Cow<'a, str>,
    /// Minor units; a credit is positive and raises the balance.
    pub amount: i64,
    /// The wallet's balance after this entry, in minor units.
    pub balance_after: i64,
    /// Counts the wallet's entries from 1 without gaps, so that a consumer sees
    /// a gap or a repeat by itself.
    pub version: i64,
}

impl<'a> TransactionPosted<'a> {
    /// What a transaction's event tells.
    ///
    /// # Errors
    /// Where the stored metadata is no JSON.
    pub fn of(ledger: &'a Ledger, receipt: &'a Receipt) -> Result<Self, EventError> {
        let metadata = receipt.metadata.as_deref().map(serde_json::from_str);
        Ok(Self {
            transaction_id: receipt.transaction_id,
            ledger: ledger.name.as_str().into(),
            kind: receipt.kind.as_str().into(),
            idempotency_key: receipt.idempotency_key.as_str().into(),
            reference: receipt.reference.as_deref().map(Cow::from),
            correlation_id: receipt.correlation_id.as_deref().map(Cow::from),
            effective_at: receipt.effective_at,
            recorded_at: receipt.recorded_at,
            metadata: metadata.transpose()?.map(Cow::Owned),
            entries: receipt
                .entries
                .iter()
                .map(|entry| PostedEntry {
                    wallet_id: entry.wallet_id,
                    address: entry.address.as_str().into(),
                    currency: entry.currency.code().into(),
                    amount: entry.amount,
                    balance_after: entry.balance_after,
                    version: entry.version,
                })
                .collect(),
        })
    }
}

impl TransactionPosted<'_> {
    /// The record's value.
    ///
    /// # Errors
    /// A time outside the years 0 to 9999, which RFC 3339 cannot say.
    pub fn to_json(&self) -> Result<Vec<u8>, EventError> {
        Ok(serde_json::to_vec(self)?)
    }
}

impl TransactionPosted<'static> {
    /// Reads a record's value.
    ///
    /// # Errors
    /// Bytes that are not this event's JSON.
    pub fn from_json(data: &[u8]) -> Result<Self, EventError> {
        json::read(data).map_err(EventError::Data)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    fn posted() -> TransactionPosted<'static> {
        TransactionPosted {
            transaction_id: Uuid::nil(),
            ledger: "main".into(),
            kind: "transfer".into(),
            idempotency_key: "k-1".into(),
            reference: None,
            correlation_id: Some("order-17".into()),
            effective_at: datetime!(2026-11-23 01:00 +1),
            recorded_at: datetime!(2026-11-23 00:00:00.000001 UTC),
            metadata: Some(Cow::Owned(json!({"order": 17}))),
            entries: vec![PostedEntry {
                wallet_id: Uuid::max(),
                address: "merchant:acme:available".into(),
                currency: "NGN".into(),
                amount: -125_000,
                balance_after: i64::MAX,
                version: 7,
            }],
        }
    }

    #[test]
    fn the_json_is_the_contract() {
        let value: serde_json::Value =
            serde_json::from_slice(&posted().to_json().unwrap()).unwrap();
        assert_eq!(
            value,
            json!({
                "transaction_id": "00000000-0000-0000-0000-000000000000",
                "ledger": "main",
                "kind": "transfer",
                "idempotency_key": "k-1",
                "correlation_id": "order-17",
                "effective_at": "2026-11-23T00:00:00Z",
                "recorded_at": "2026-11-23T00:00:00.000001Z",
                "metadata": {"order": 17},
                "entries": [{
                    "wallet_id": "ffffffff-ffff-ffff-ffff-ffffffffffff",
                    "address": "merchant:acme:available",
                    "currency": "NGN",
                    "amount": -125_000,
                    "balance_after": i64::MAX,
                    "version": 7,
                }],
            })
        );
    }

    #[test]
    fn it_survives_the_wire() {
        let read = TransactionPosted::from_json(&posted().to_json().unwrap()).unwrap();
        assert_eq!(read, posted());
    }

    #[test]
    fn members_that_are_not_known_are_ignored() {
        let mut value = serde_json::to_value(posted()).unwrap();
        value["added_later"] = json!(true);
        let read = TransactionPosted::from_json(value.to_string().as_bytes()).unwrap();
        assert_eq!(read, posted());
    }

    #[test]
    fn other_bytes_are_refused() {
        let error = TransactionPosted::from_json(b"{}").unwrap_err();
        assert!(matches!(error, EventError::Data(_)));
    }
}
