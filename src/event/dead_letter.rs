//! The dead letter: a message that could not be handled, with why, and with all
//! that a replay needs to publish the very same message again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{EventError, header, utc_rfc3339};
use crate::json;

/// The message as it was read or was to be published.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The topic that it was on or was meant for.
    pub topic: &'a str,
    /// The record's key; empty where it had none.
    pub key: &'a [u8],
    /// The record's headers, in order.
    pub headers: &'a [(String, Vec<u8>)],
    /// The record's value.
    pub payload: &'a [u8],
}

/// How [`DeadLetter::original_message`] is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadEncoding {
    /// The payload was JSON and stands there as it was, byte for byte; white space around it
    /// stands in [`DeadLetter::original_white_space`].
    Json,
    /// The payload was not JSON and stands there as a base64 string.
    Base64,
}

/// Bytes that are text nearly always: a JSON string where they are UTF-8,
/// otherwise `{"base64": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// UTF-8.
    Utf8(String),
    /// Anything else.
    Bytes {
        /// The bytes in base64.
        base64: String,
    },
}

impl Text {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.to_owned()),
            Err(_) => Self::Bytes {
                base64: BASE64.encode(bytes),
            },
        }
    }

    /// The bytes again.
    ///
    /// # Errors
    /// A string that says base64 and is not.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EventError> {
        match self {
            Self::Utf8(text) => Ok(text.clone().into_bytes()),
            Self::Bytes { base64 } => Ok(BASE64.decode(base64)?),
        }
    }
}

/// The value of a record on a `.dlq` topic.
///
/// The first six members are the contract; those behind them let a replay
/// restore the message, and a letter without them (written by another service)
/// is read all the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The topic that a replay publishes to.
    pub original_topic: String,
    /// The payload, see [`PayloadEncoding`].
    pub original_message: Box<RawValue>,
    /// Why it is here, in words for a person.
    pub error: String,
    /// How many times it was tried.
    pub retry_count: u32,
    /// When it was given up (RFC 3339, UTC).
    #[serde(with = "utc_rfc3339")]
    pub failed_at: OffsetDateTime,
    /// The correlation id of the request that caused the message; `null` where
    /// it had none.
    pub correlation_id: Option<String>,
    /// How to read `original_message`. Absent means JSON.
    #[serde(default = "json_encoding")]
    pub original_encoding: PayloadEncoding,
    /// The white space before and behind the payload's JSON: no part of the value, so that
    /// `original_message` can't keep it. Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_white_space: Option<(String, String)>,
    /// The record's key, absent where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_key: Option<Text>,
    /// The record's headers as pairs, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub original_headers: Vec<(String, Text)>,
}

fn json_encoding() -> PayloadEncoding {
    PayloadEncoding::Json
}

impl DeadLetter {
    /// Wraps a message that was tried `retry_count` times and given up at
    /// `failed_at`.
    ///
    /// # Errors
    /// None in practice: base64 always makes a JSON string.
    pub fn new(
        original: Original<'_>,
        error: impl Into<String>,
        retry_count: u32,
        failed_at: OffsetDateTime,
        correlation_id: Option<String>,
    ) -> Result<Self, EventError> {
        // The payload's own text rather than a parsed value: a parsed one would
        // reorder members and round numbers, and a replay must send what came.
        let (original_message, original_encoding) =
            match serde_json::from_slice::<Box<RawValue>>(original.payload) {
                Ok(json) => (json, PayloadEncoding::Json),
                Err(_) => (
                    serde_json::value::to_raw_value(&BASE64.encode(original.payload))?,
                    PayloadEncoding::Base64,
                ),
            };
        Ok(Self {
            original_topic: original.topic.to_owned(),
            original_message,
            error: error.into(),
            retry_count,
            failed_at,
            correlation_id,
            original_white_space: match original_encoding {
                PayloadEncoding::Json => white_space_around(original.payload),
                PayloadEncoding::Base64 => None,
            },
            original_encoding,
            original_key: (!original.key.is_empty()).then(|| Text::new(original.key)),
            original_headers: header_pairs(original.headers),
        })
    }

    /// Names this life of the message: the same however often the letter is published, another after
    /// each replay. A UUIDv8 (RFC 9562) over the topic, the event's id, the number of replays and the
    /// payload. Where the message has no id, `stand_in` is taken for it, the same for the same message.
    #[must_use]
    pub fn id(&self, stand_in: Option<Uuid>) -> Uuid {
        let failed_at = self.failed_at.unix_timestamp_nanos().to_be_bytes();
        let named = self.event_id().or(stand_in);
        digest_id(&[
            self.original_topic.as_bytes(),
            self.message_text().as_bytes(),
            &self.replay_count().to_be_bytes(),
            named.as_ref().map_or(&failed_at[..], |id| id.as_bytes()),
        ])
    }

    /// The headers of the letter's record: a CloudEvent's id that repeats of it share, and what it
    /// belongs to.
    #[must_use]
    pub fn record_headers(&self, stand_in: Option<Uuid>) -> Vec<(String, Vec<u8>)> {
        let mut headers = vec![
            (
                header::ID.to_owned(),
                self.id(stand_in).to_string().into_bytes(),
            ),
            (
                header::CONTENT_TYPE.to_owned(),
                b"application/json".to_vec(),
            ),
        ];
        if let Some(id) = &self.correlation_id {
            let id = id.clone().into_bytes();
            headers.push((header::CORRELATION_ID.to_owned(), id));
        }
        headers
    }

    /// The original message's `ce_id`, where it has one.
    #[must_use]
    pub fn event_id(&self) -> Option<Uuid> {
        self.original_header(header::ID)?.parse().ok()
    }

    /// The ledger that the original message came from, by its `ce_source`.
    #[must_use]
    pub fn ledger(&self) -> Option<&str> {
        self.original_header(header::SOURCE)?
            .strip_prefix(super::SOURCE_PREFIX)
    }

    /// How often the message had been replayed when it failed.
    #[must_use]
    pub fn replay_count(&self) -> u32 {
        let count = self.original_header(header::REPLAY_COUNT);
        count.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The number of the dead letter that the message was replayed from.
    #[must_use]
    pub fn replayed_from(&self) -> Option<i64> {
        self.original_header(header::REPLAYED_FROM)?.parse().ok()
    }

    fn original_header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .original_headers
            .iter()
            .find(|(found, _)| found == name)?;
        match value {
            Text::Utf8(text) => Some(text),
            Text::Bytes { .. } => None,
        }
    }

    /// The record's value.
    ///
    /// # Errors
    /// A time outside the years 0 to 9999, which RFC 3339 cannot say.
    pub fn to_json(&self) -> Result<Vec<u8>, EventError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// Bytes that are not a dead letter's JSON.
    pub fn from_json(data: &[u8]) -> Result<Self, EventError> {
        json::read(data).map_err(EventError::Data)
    }

    /// The payload to publish again.
    ///
    /// # Errors
    /// A letter that says base64 and holds something else.
    pub fn payload(&self) -> Result<Vec<u8>, EventError> {
        match self.original_encoding {
            PayloadEncoding::Json => Ok(self.message_text().into_bytes()),
            PayloadEncoding::Base64 => {
                let text: String = serde_json::from_str(self.original_message.get())?;
                Ok(BASE64.decode(text)?)
            }
        }
    }

    /// `original_message` with the white space that was around it.
    fn message_text(&self) -> String {
        let message = self.original_message.get();
        match &self.original_white_space {
            None => message.to_owned(),
            Some((before, behind)) => [before, message, behind].concat(),
        }
    }

    /// The key to publish under; empty where the message had none.
    ///
    /// # Errors
    /// A key that says base64 and is not.
    pub fn key(&self) -> Result<Vec<u8>, EventError> {
        self.original_key
            .as_ref()
            .map_or(Ok(Vec::new()), Text::to_bytes)
    }

    /// The headers to publish with, in order.
    ///
    /// # Errors
    /// A value that says base64 and is not.
    pub fn headers(&self) -> Result<Vec<(String, Vec<u8>)>, EventError> {
        headers_of(&self.original_headers)
    }
}

/// What RFC 8259 lets stand before and behind a JSON text, where there is any.
fn white_space_around(json: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(json).ok()?;
    let white = [' ', '\t', '\n', '\r'];
    let from = text.len() - text.trim_start_matches(white).len();
    let (before, rest) = text.split_at(from);
    let (_, behind) = rest.split_at(rest.trim_end_matches(white).len());
    (!before.is_empty() || !behind.is_empty()).then(|| (before.to_owned(), behind.to_owned()))
}

/// The longest reason, in bytes: it may quote what somebody sent.
const REASON_BYTES_MAX: usize = 1_000;

/// As much of a reason as a person reads.
#[must_use]
pub fn brief(mut reason: String) -> String {
    if reason.len() > REASON_BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        reason.push('…');
    }
    reason
}

/// A UUIDv8 (RFC 9562) that the same parts always make, for what came without an id.
#[must_use]
pub fn digest_id(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}

/// Headers as they stand in JSON: pairs, in order.
#[must_use]
pub fn header_pairs(headers: &[(String, Vec<u8>)]) -> Vec<(String, Text)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.clone(), Text::new(value)))
        .collect()
}

/// The headers again.
///
/// # Errors
/// A value that says base64 and is not.
pub fn headers_of(pairs: &[(String, Text)]) -> Result<Vec<(String, Vec<u8>)>, EventError> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| Ok((name.clone(), value.to_bytes()?)))
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    fn letter(key: &[u8], headers: &[(String, Vec<u8>)], payload: &[u8]) -> DeadLetter {
        let original = Original {
            topic: "aegis.transactions",
            key,
            headers,
            payload,
        };
        let failed_at = datetime!(2026-11-23 01:02:03 UTC);
        let written = DeadLetter::new(original, "no such wallet", 6, failed_at, Some("c-1".into()));
        DeadLetter::from_json(&written.unwrap().to_json().unwrap()).unwrap()
    }

    #[test]
    fn the_json_is_the_contract() {
        let headers = [("ce_id".to_owned(), b"7".to_vec())];
        let letter = letter(b"wallet-1", &headers, br#"{"b":1,"a":[2]}"#);
        let value: serde_json::Value = serde_json::from_slice(&letter.to_json().unwrap()).unwrap();
        assert_eq!(
            value,
            json!({
                "original_topic": "aegis.transactions",
                "original_message": {"a": [2], "b": 1},
                "error": "no such wallet",
                "retry_count": 6,
                "failed_at": "2026-11-23T01:02:03Z",
                "correlation_id": "c-1",
                "original_encoding": "json",
                "original_key": "wallet-1",
                "original_headers": [["ce_id", "7"]],
            })
        );
    }

    #[test]
    fn a_replay_sends_the_very_bytes() {
        let binary = [("trace".to_owned(), vec![0xff, 0x00])];
        let payloads: [&[u8]; 9] = [
            br#"{"z":1, "a":1e400, "n":123456789012345678901234567890}"#,
            b"{\n}\r\n",
            b" \t7\r",
            b" ",
            br#""a string""#,
            b"",
            b"not json",
            b"{\"cut\":",
            &[0xff, 0xfe, 0x00],
        ];
        for payload in payloads {
            let letter = letter(&[0x80, 0x01], &binary, payload);
            assert_eq!(letter.payload().unwrap(), payload);
            assert_eq!(letter.key().unwrap(), [0x80, 0x01]);
            assert_eq!(letter.headers().unwrap(), binary);
        }
    }

    #[test]
    fn a_base64_original_is_marked() {
        let letter = letter(b"", &[], b"not json");
        assert_eq!(letter.original_encoding, PayloadEncoding::Base64);
        assert_eq!(letter.original_message.get(), r#""bm90IGpzb24=""#);
        assert!(letter.original_key.is_none());
        assert!(letter.key().unwrap().is_empty());
    }

    #[test]
    fn a_life_of_a_message_has_one_id_however_often_its_letter_is_published() {
        let id = "0193a3b8-7c4e-7d3a-9b52-6f1a2b3c4d5e";
        let headers = |replays: &str| {
            [
                ("ce_id".to_owned(), id.as_bytes().to_vec()),
                ("ce_source".to_owned(), b"/ledgers/main".to_vec()),
                ("aegis_replay_count".to_owned(), replays.as_bytes().to_vec()),
                ("aegis_replayed_from".to_owned(), b"7".to_vec()),
            ]
        };
        let first = letter(b"k", &headers("1"), b"{}");
        let again = letter(b"k", &headers("1"), b"{}");
        assert_eq!(
            first.id(Some(Uuid::from_u128(1))),
            again.id(Some(Uuid::from_u128(2)))
        );
        let next_life = letter(b"k", &headers("2"), b"{}");
        assert_ne!(first.id(None), next_life.id(None));
        let other = letter(b"k", &headers("1"), b"[]");
        assert_ne!(
            first.id(None),
            other.id(None),
            "another message under the same id"
        );
        assert_eq!(first.replay_count(), 1);
        assert_eq!(first.replayed_from(), Some(7));
        assert_eq!(first.ledger(), Some("main"));
        assert_eq!(first.event_id(), Some(id.parse().unwrap()));
    }

    #[test]
    fn a_message_without_an_id_is_named_by_its_place() {
        let [one, two] = [0, 1].map(|_| letter(b"", &[], b"not json"));
        assert_eq!(
            one.id(Some(Uuid::from_u128(1))),
            two.id(Some(Uuid::from_u128(1)))
        );
        assert_ne!(
            one.id(Some(Uuid::from_u128(1))),
            two.id(Some(Uuid::from_u128(2)))
        );
        assert_ne!(
            one.id(Some(Uuid::from_u128(1))),
            two.id(Some(Uuid::from_u128(11)))
        );
    }

    #[test]
    fn a_letter_with_the_six_members_alone_is_read() {
        let six = json!({
            "original_topic": "aegis.settlements",
            "original_message": {"payout": 1},
            "error": "timeout",
            "retry_count": 6,
            "failed_at": "2026-11-23T01:02:03+00:00",
            "correlation_id": null,
        });
        let letter = DeadLetter::from_json(six.to_string().as_bytes()).unwrap();
        assert_eq!(letter.payload().unwrap(), br#"{"payout":1}"#);
        assert!(letter.headers().unwrap().is_empty());
    }
}
