//! `aegis.transfer.requested`: a command on the bus to post one transfer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::EventError;
use crate::json;

/// A transfer that somebody wants posted. It takes effect once under its key, whoever sends it and
/// however often, over HTTP too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferRequested {
    /// 1 to 255 printable characters.
    pub idempotency_key: String,
    /// The wallet that is debited: an address, or an id.
    pub source: String,
    /// The wallet that is credited.
    pub destination: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units, from 1.
    pub amount: i64,
    /// The sender's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it counts (RFC 3339); the time of posting unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<String>,
    /// The sender's own JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
}

impl TransferRequested {
    /// The record's value.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_json(&self) -> Result<Vec<u8>, EventError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads a record's value; members that are not known are ignored.
    ///
    /// # Errors
    /// Bytes that are not the JSON that the type promises.
    pub fn from_json(data: &[u8]) -> Result<Self, EventError> {
        json::read(data).map_err(EventError::Data)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_wire_and_unknown_members_are_ignored() {
        let json = br#"{"idempotency_key":"k","source":"a","destination":"b","currency":"NGN",
            "amount":1250,"metadata":{"order": 17},"later":true}"#;
        let read = TransferRequested::from_json(json).unwrap();
        assert_eq!((read.amount, read.currency.as_str()), (1250, "NGN"));
        assert_eq!(
            read.metadata.as_ref().map(|raw| raw.get()),
            Some("{\"order\": 17}")
        );
        let again = TransferRequested::from_json(&read.to_json().unwrap()).unwrap();
        assert_eq!(again.idempotency_key, "k");
    }

    #[test]
    fn an_amount_that_is_no_integer_of_64_bits_is_no_command() {
        for amount in ["12.5", "1e3", "\"1250\"", "9223372036854775808", "null"] {
            let json = format!(
                r#"{{"idempotency_key":"k","source":"a","destination":"b","currency":"NGN","amount":{amount}}}"#
            );
            assert!(
                TransferRequested::from_json(json.as_bytes()).is_err(),
                "{amount}"
            );
        }
    }
}
