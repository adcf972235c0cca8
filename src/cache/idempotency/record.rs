//! A record as it lies in Redis.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// An answer of success, with all of it that a repeat is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Answer {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// The header of that name.
    pub content_type: String,
    /// The header of that name.
    pub location: Option<String>,
    /// The id that the request's body gave it.
    pub correlation_id: Option<String>,
    /// Byte for byte.
    pub body: Vec<u8>,
}

/// The same as JSON, which holds bytes that are no text as base64.
#[derive(Serialize, Deserialize)]
struct Written {
    status: u16,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl From<Answer> for Written {
    fn from(answer: Answer) -> Self {
        let (body, body_base64) = match String::from_utf8(answer.body) {
            Ok(text) => (Some(text), None),
            Err(bytes) => (None, Some(BASE64.encode(bytes.as_bytes()))),
        };
        Self {
            status: answer.status,
            content_type: answer.content_type,
            location: answer.location,
            correlation_id: answer.correlation_id,
            body,
            body_base64,
        }
    }
}

impl TryFrom<Written> for Answer {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        if !(200..=299).contains(&written.status) {
            return Err("only answers of success are kept");
        }
        let body = match (written.body, written.body_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => BASE64.decode(text).map_err(|_| "the body is no base64")?,
            _ => return Err("there is no body, or two"),
        };
        Ok(Self {
            status: written.status,
            content_type: written.content_type,
            location: written.location,
            correlation_id: written.correlation_id,
            body,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InFlight,
    Done,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    pub(super) request_hash: Cow<'a, str>,
    pub(super) response: Option<Answer>,
    pub(super) status: Status,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    /// The database and ledger of the request: several may share a Redis, and one may be made anew.
    #[serde(borrow)]
    pub(super) scope: Cow<'a, str>,
    /// Whose mark it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Uuid>,
}

impl<'a> Record<'a> {
    /// The record, where it is one of this scope.
    pub(super) fn read(text: &'a [u8], scope: &str) -> Option<Self> {
        let record: Self = serde_json::from_slice(text).ok()?;
        let whole = (record.status == Status::Done) == record.response.is_some();
        (whole && record.scope == scope).then_some(record)
    }

    pub(super) fn write(&self) -> String {
        // Strings, numbers and a time can always be written; an empty record is read as none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;

    fn record(body: &[u8]) -> Record<'static> {
        Record {
            request_hash: "ab".into(),
            response: Some(Answer {
                status: 201,
                content_type: "application/json".into(),
                location: None,
                correlation_id: None,
                body: body.to_vec(),
            }),
            status: Status::Done,
            created_at: OffsetDateTime::UNIX_EPOCH,
            scope: "here".into(),
            owner: None,
        }
    }

    #[test]
    fn an_answer_comes_back_byte_for_byte() {
        for body in [&b"{\"a\": \"\\u00e9\"}"[..], b"", b"\xff\x00\xfe"] {
            let text = record(body).write();
            let read = Record::read(text.as_bytes(), "here").unwrap();
            assert_eq!(read.response.unwrap().body, body);
        }
    }

    #[test]
    fn the_fields_are_those_of_the_interface() {
        let text = record(b"{}").write();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["request_hash"], "ab");
        assert_eq!(record["status"], "done");
        assert_eq!(record["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(record["response"]["status"], 201);
        assert_eq!(record["response"]["body"], "{}");
    }

    #[test]
    fn what_is_no_whole_record_of_this_scope_is_none() {
        let text = record(b"{}").write();
        assert!(Record::read(text.as_bytes(), "elsewhere").is_none());
        for (part, other) in [
            ("201", "422"),
            ("\"done\"", "\"in_flight\""),
            ("\"body\"", "\"text\""),
            ("1970", "soon"),
            ("}", ""),
        ] {
            let broken = text.replace(part, other);
            assert!(
                Record::read(broken.as_bytes(), "here").is_none(),
                "{broken}"
            );
        }
        assert!(Record::read(b"\xff", "here").is_none());
    }
}
