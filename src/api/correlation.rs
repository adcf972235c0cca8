//! The ids that tie a request to what caused it and to what it causes.

use std::sync::OnceLock;

use axum::http::HeaderMap;
use uuid::Uuid;

use super::kinds;
use super::problem::Problem;
use super::request::{CORRELATION_ID, TRACEPARENT};
use crate::ledger::Details;

/// The correlation id of a request: the body's, else the header's, else a new UUIDv7.
#[derive(Debug)]
pub(super) struct CorrelationId {
    of_header: String,
    of_body: OnceLock<String>,
}

impl CorrelationId {
    /// Takes up the header's, or makes one; and the problem, where the header's is malformed.
    pub(super) fn of(headers: &HeaderMap) -> (Self, Option<Problem>) {
        let taken = taken_up(headers);
        let (of_header, problem) = match taken {
            Ok(Some(id)) => (id, None),
            Ok(None) => (made(), None),
            Err(problem) => (made(), Some(problem)),
        };
        let of_body = OnceLock::new();
        (Self { of_header, of_body }, problem)
    }

    /// The id that counts.
    pub(super) fn as_str(&self) -> &str {
        self.of_body.get().unwrap_or(&self.of_header)
    }

    /// The id that the body named, where it is another than the header's.
    pub(super) fn of_body(&self) -> Option<&str> {
        self.of_body.get().map(String::as_str)
    }

    /// The body names the id: from here on that one is answered and logged.
    pub(super) fn prefer(&self, of_body: &str) {
        if of_body != self.of_header {
            // A request has one body, so nothing is set yet.
            drop(self.of_body.set(of_body.to_owned()));
        }
    }
}

fn made() -> String {
    Uuid::now_v7().to_string()
}

fn taken_up(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(CORRELATION_ID).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let invalid = |problem: &str| {
        let detail = format!("X-Correlation-Id {problem}.");
        Problem::new(kinds::CORRELATION_ID_INVALID, detail)
    };
    if values.next().is_some() {
        return Err(invalid("stands twice: write it once"));
    }
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| invalid("is not UTF-8: write 1 to 255 printable characters"))?;
    if text.is_empty() {
        return Err(invalid(
            "is empty: write 1 to 255 printable characters, or leave it out",
        ));
    }
    // The rules of the ledger's own field, where the id ends up.
    let details = Details::default()
        .with_correlation_id(text)
        .map_err(|field| invalid(&field.problem))?;
    Ok(details.correlation_id)
}

/// The W3C trace context of a request.
#[derive(Debug)]
pub(super) struct Traceparent(String);

impl Traceparent {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The header's. A malformed one is ignored, as the standard asks.
    pub(super) fn taken_up(headers: &HeaderMap) -> Option<String> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(accepted),
            _ => None,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn trace_id(&self) -> &str {
        self.0.split('-').nth(1).unwrap_or_default()
    }
}

/// `version-trace_id-parent_id-flags` in lower-case hexadecimal. Later versions may go on behind
/// another hyphen, and are handed on as far as version 00 knows them.
fn accepted(text: &str) -> Option<String> {
    let (version, rest) = text.split_once('-')?;
    let (trace_id, rest) = rest.split_once('-')?;
    let (parent_id, rest) = rest.split_once('-')?;
    let (flags, behind) = match rest.split_once('-') {
        Some((flags, behind)) => (flags, Some(behind)),
        None => (rest, None),
    };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zeros = |part: &str| part.bytes().all(|b| b == b'0');
    let well_formed = hex(version, 2)
        && version != "ff"
        && hex(trace_id, 32)
        && !zeros(trace_id)
        && hex(parent_id, 16)
        && !zeros(parent_id)
        && hex(flags, 2)
        && (version != "00" || behind.is_none());
    well_formed.then(|| format!("00-{trace_id}-{parent_id}-{flags}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_well_formed_traceparent_is_taken_up() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(accepted(&text), Some(text.clone()));
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-01-what-else");
        assert_eq!(accepted(&later), Some(text));
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        for text in [
            String::new(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{TRACE}-0000000000000000-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b-01"),
        ] {
            assert_eq!(accepted(&text), None, "{text}");
        }
    }

    #[test]
    fn a_made_traceparent_is_well_formed() {
        use crate::telemetry::{new_traceparent, unrecorded_traceparent};
        for (made, flags) in [
            (new_traceparent(), "-01"),
            (unrecorded_traceparent(), "-00"),
        ] {
            assert!(made.ends_with(flags), "{made}");
            assert_eq!(accepted(&made).as_deref(), Some(made.as_str()));
        }
    }
}
