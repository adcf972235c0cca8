//! The wire contract: what an event looks like to other services.
//!
//! CloudEvents 1.0 in Kafka's binary content mode: the attributes travel as
//! headers ([`Envelope`]), the record's value is the JSON data alone. Nothing
//! here reads a clock, draws an id or does I/O, so that the same event always
//! has the same bytes.
//!
//! Compatibility: a consumer ignores headers and JSON members that it does not
//! know; members are added and never change their meaning. An event type that a
//! consumer does not know is [`EventError::UnknownType`], which it skips.

mod dead_letter;
mod transaction;
mod transfer;

use std::fmt;
use std::str::FromStr;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

pub use dead_letter::{
    DeadLetter, Original, PayloadEncoding, Text, brief, digest_id, header_pairs, headers_of,
};
pub use transaction::{PostedEntry, TransactionPosted};
pub use transfer::TransferRequested;

/// The only version of CloudEvents that is written and read.
pub const SPEC_VERSION: &str = "1.0";

/// Media type of every event's data.
pub const CONTENT_TYPE: &str = "application/json";

/// Header names, as they stand on the wire.
pub mod header {
    /// CloudEvents `specversion`.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// CloudEvents `id`: a UUID; the same event published twice has the same id.
    pub const ID: &str = "ce_id";
    /// CloudEvents `source`: `/ledgers/<ledger>`.
    pub const SOURCE: &str = "ce_source";
    /// CloudEvents `type`.
    pub const TYPE: &str = "ce_type";
    /// CloudEvents `time`: RFC 3339, UTC.
    pub const TIME: &str = "ce_time";
    /// CloudEvents `subject`: what the event is about, such as a transaction's id.
    pub const SUBJECT: &str = "ce_subject";
    /// Media type of the data.
    pub const CONTENT_TYPE: &str = "content-type";
    /// The request's correlation id, handed on unchanged.
    pub const CORRELATION_ID: &str = "correlation_id";
    /// W3C trace context, handed on unchanged.
    pub const TRACEPARENT: &str = "traceparent";
    /// How often the message was replayed from a dead letter: a decimal number, absent before the
    /// first time.
    pub const REPLAY_COUNT: &str = "aegis_replay_count";
    /// The dead letter that the message was last replayed from: its number in the index.
    pub const REPLAYED_FROM: &str = "aegis_replayed_from";
}

const SOURCE_PREFIX: &str = "/ledgers/";

/// What is wrong with an event that was read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A header that every event carries is absent.
    #[error("header {0} is missing")]
    HeaderMissing(&'static str),
    /// A header is there, and its value does not say what it must.
    #[error("header {header} is not {expected}")]
    HeaderInvalid {
        /// The header's name.
        header: &'static str,
        /// What it must say.
        expected: &'static str,
    },
    /// An event type that this version does not know: to be skipped.
    #[error("{}", unknown_type(.0))]
    UnknownType(String),
    /// The data is not the JSON that its type promises: what is wrong with it, see [`crate::json`].
    #[error("the data is not what the event type promises: {0}")]
    Data(String),
    /// A dead letter says base64 and its original is not.
    #[error("the dead letter's original is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
}

impl From<serde_json::Error> for EventError {
    fn from(error: serde_json::Error) -> Self {
        Self::Data(crate::json::problem(&error))
    }
}

/// Names a type that has the form of ours: a later version may know it. Anything else may hold
/// anything.
fn unknown_type(name: &str) -> String {
    let word = |c: char| matches!(c, 'a'..='z' | '.' | '_');
    let version = name.rsplit_once(".v").filter(|(_, number)| {
        (1..=3).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit())
    });
    let words = version.map_or(name, |(words, _)| words);
    let is_ours = words
        .strip_prefix("aegis.")
        .is_some_and(|rest| rest.len() <= TYPE_BYTES_MAX && rest.chars().all(word));
    match is_ours {
        true => format!("unknown event type {name:?}"),
        false => format!(
            "unknown event type of {} bytes, none of aegis.*",
            name.len()
        ),
    }
}

/// Longer than any type's name.
const TYPE_BYTES_MAX: usize = 64;

/// The types, their names on the wire, and what they tell.
macro_rules! event_types {
    ($( $variant:ident = $name:literal, $doc:literal; )+) => {
        /// The types of events. The name on the wire never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $( #[doc = concat!("`", $name, "`: ", $doc)] $variant, )+
        }

        impl EventType {
            /// Every type, for listings and tests.
            pub const ALL: &[Self] = &[$( Self::$variant ),+];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }
        }
    };
}

event_types! {
    TransactionPosted = "aegis.transaction.posted",
        "a transaction with its entries: its data is [`TransactionPosted`].";
    TransferRequested = "aegis.transfer.requested",
        "a command: its data is [`TransferRequested`].";
    MerchantCreated = "aegis.merchant.created",
        "a merchant is known.";
    MerchantTermsAgreed = "aegis.merchant.terms_agreed",
        "a version of a merchant's terms is in force.";
    MerchantFrozen = "aegis.merchant.frozen",
        "a merchant takes no payments and is not paid out.";
    MerchantUnfrozen = "aegis.merchant.unfrozen",
        "a merchant goes on.";
    PaymentCreated = "aegis.payment.created",
        "a payment was asked for.";
    PaymentPending = "aegis.payment.pending",
        "the customer can pay.";
    PaymentSucceeded = "aegis.payment.succeeded",
        "the customer paid, and the merchant is credited.";
    PaymentFailed = "aegis.payment.failed",
        "a payment came to nothing.";
    PaymentAbandoned = "aegis.payment.abandoned",
        "the customer never paid.";
    PaymentRefunded = "aegis.payment.refunded",
        "all or a part of a payment went back to the customer.";
    PaymentDisputed = "aegis.payment.disputed",
        "the customer disputes a payment, or no longer does.";
    RefundRequested = "aegis.refund.requested",
        "a refund is on its way.";
    RefundSent = "aegis.refund.sent",
        "the PSP took a refund.";
    RefundSucceeded = "aegis.refund.succeeded",
        "the customer has the money back.";
    RefundFailed = "aegis.refund.failed",
        "the merchant has the money back.";
    RefundUnknown = "aegis.refund.unknown",
        "whether the PSP took a refund is not known.";
    SettlementReleased = "aegis.settlement.released",
        "what matured is available.";
    SettlementReserveReleased = "aegis.settlement.reserve_released",
        "a reserve is available.";
    PayoutRequested = "aegis.payout.requested",
        "the funds of a payout are in transit.";
    PayoutSent = "aegis.payout.sent",
        "the PSP took a payout.";
    PayoutSucceeded = "aegis.payout.succeeded",
        "the recipient has the money.";
    PayoutFailed = "aegis.payout.failed",
        "a payout came to nothing, and the funds are back.";
    PayoutUnknown = "aegis.payout.unknown",
        "whether the PSP took a payout is not known; the funds stay in transit.";
    PayoutReturned = "aegis.payout.returned",
        "a payout that had succeeded came back.";
    PayoutRunWaiting = "aegis.payout_run.waiting",
        "a payout run waits for its approval.";
    PayoutRunStarted = "aegis.payout_run.started",
        "a payout run pays.";
    PayoutRunFinished = "aegis.payout_run.finished",
        "a payout run is over.";
    DiscrepancyOpened = "aegis.discrepancy.opened",
        "the ledger and the world don't agree.";
    DiscrepancyResolved = "aegis.discrepancy.resolved",
        "a discrepancy was resolved.";
    ReconciliationFinished = "aegis.reconciliation.finished",
        "a file was reconciled.";
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        let known = Self::ALL.iter().find(|known| known.as_str() == name);
        known
            .copied()
            .ok_or_else(|| EventError::UnknownType(name.to_owned()))
    }
}

/// An event's attributes: all that is known about it without reading its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Names the event for ever. Consumers drop repeats by it.
    pub id: Uuid,
    /// What happened.
    pub event_type: EventType,
    /// Where it happened: `/ledgers/<ledger>`.
    pub source: String,
    /// When it happened (UTC).
    pub time: OffsetDateTime,
    /// What it is about, such as the id of a transaction or a payout.
    pub subject: Option<String>,
    /// The correlation id of the request that caused it.
    pub correlation_id: Option<String>,
    /// The W3C trace context of the request that caused it.
    pub traceparent: Option<String>,
}

impl Envelope {
    /// An event of a ledger; `id` is drawn by the caller (UUIDv7) and stored, so
    /// that a second publication carries the same one.
    pub fn new(id: Uuid, event_type: EventType, ledger: &str, time: OffsetDateTime) -> Self {
        Self {
            id,
            event_type,
            source: format!("{SOURCE_PREFIX}{ledger}"),
            time: time.to_offset(UtcOffset::UTC),
            subject: None,
            correlation_id: None,
            traceparent: None,
        }
    }

    /// Says what the event is about.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Hands on a request's correlation id, if it had one.
    #[must_use]
    pub fn with_correlation_id(mut self, correlation_id: Option<String>) -> Self {
        self.correlation_id = correlation_id;
        self
    }

    /// Hands on a request's trace context, if it had one.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }

    /// The ledger's name, or `None` where the source is not a ledger of ours.
    pub fn ledger(&self) -> Option<&str> {
        self.source.strip_prefix(SOURCE_PREFIX)
    }

    /// The event's id alone, from a record whose other headers may be anything.
    #[must_use]
    pub fn id_of(headers: &[(String, Vec<u8>)]) -> Option<Uuid> {
        let id = optional(headers, header::ID).ok()??;
        Uuid::parse_str(id).ok()
    }

    /// The correlation id alone, likewise.
    #[must_use]
    pub fn correlation_id_of(headers: &[(String, Vec<u8>)]) -> Option<&str> {
        optional(headers, header::CORRELATION_ID).ok()?
    }

    /// How often a record was replayed, likewise; 0 where it doesn't say.
    #[must_use]
    pub fn replays_of(headers: &[(String, Vec<u8>)]) -> u32 {
        let count = optional(headers, header::REPLAY_COUNT).ok().flatten();
        count.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The record's headers, in the order of the contract; what is `None` is left out.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut headers = Vec::with_capacity(9);
        let mut push = |name: &str, value: String| {
            headers.push((name.to_owned(), value.into_bytes()));
        };
        push(header::SPEC_VERSION, SPEC_VERSION.to_owned());
        push(header::ID, self.id.to_string());
        push(header::SOURCE, self.source.clone());
        push(header::TYPE, self.event_type.to_string());
        push(header::TIME, rfc3339(self.time));
        push(header::CONTENT_TYPE, CONTENT_TYPE.to_owned());
        let optional = [
            (header::SUBJECT, &self.subject),
            (header::CORRELATION_ID, &self.correlation_id),
            (header::TRACEPARENT, &self.traceparent),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                push(name, value.clone());
            }
        }
        headers
    }

    /// Reads the attributes back from a record's headers. Unknown headers are
    /// ignored; of a repeated one the first counts.
    ///
    /// # Errors
    /// A header that is missing, is not UTF-8 or has a value outside the
    /// contract; an event type that is not known.
    pub fn from_headers(headers: &[(String, Vec<u8>)]) -> Result<Self, EventError> {
        let spec_version = required(headers, header::SPEC_VERSION)?;
        if spec_version != SPEC_VERSION {
            return Err(invalid(header::SPEC_VERSION, SPEC_VERSION));
        }
        let content_type = required(headers, header::CONTENT_TYPE)?;
        // Parameters such as a charset are allowed behind a semicolon.
        if content_type.split(';').next().map(str::trim) != Some(CONTENT_TYPE) {
            return Err(invalid(header::CONTENT_TYPE, CONTENT_TYPE));
        }
        let id = required(headers, header::ID)?;
        let time = required(headers, header::TIME)?;
        Ok(Self {
            id: Uuid::parse_str(id).map_err(|_| invalid(header::ID, "a UUID"))?,
            event_type: required(headers, header::TYPE)?.parse()?,
            source: required(headers, header::SOURCE)?.to_owned(),
            time: OffsetDateTime::parse(time, &Rfc3339)
                .map_err(|_| invalid(header::TIME, "a time of RFC 3339"))?
                .to_offset(UtcOffset::UTC),
            subject: optional(headers, header::SUBJECT)?.map(str::to_owned),
            correlation_id: optional(headers, header::CORRELATION_ID)?.map(str::to_owned),
            traceparent: optional(headers, header::TRACEPARENT)?.map(str::to_owned),
        })
    }
}

fn optional<'h>(
    headers: &'h [(String, Vec<u8>)],
    name: &'static str,
) -> Result<Option<&'h str>, EventError> {
    let Some((_, value)) = headers.iter().find(|(found, _)| found == name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value).map_err(|_| invalid(name, "UTF-8"))?;
    Ok(Some(text))
}

fn required<'h>(
    headers: &'h [(String, Vec<u8>)],
    name: &'static str,
) -> Result<&'h str, EventError> {
    optional(headers, name)?.ok_or(EventError::HeaderMissing(name))
}

fn invalid(header: &'static str, expected: &'static str) -> EventError {
    EventError::HeaderInvalid { header, expected }
}

/// RFC 3339 in UTC, with as many decimals as the time has.
fn rfc3339(time: OffsetDateTime) -> String {
    let utc = time.to_offset(UtcOffset::UTC);
    // Formatting fails for years beyond 9999 alone, which no clock of ours
    // gives; such a time still shows, and a reader refuses it.
    utc.format(&Rfc3339).unwrap_or_else(|_| utc.to_string())
}

/// Serde for times as RFC 3339, always in UTC whatever offset the value had.
mod utc_rfc3339 {
    use serde::{Deserializer, Serializer};
    use time::{OffsetDateTime, UtcOffset, serde::rfc3339};

    pub(super) fn serialize<S: Serializer>(
        time: &OffsetDateTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rfc3339::serialize(&time.to_offset(UtcOffset::UTC), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        rfc3339::deserialize(deserializer).map(|time| time.to_offset(UtcOffset::UTC))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn envelope() -> Envelope {
        let id = Uuid::parse_str("0193a3b8-7c4e-7d3a-9b52-6f1a2b3c4d5e").unwrap();
        let time = datetime!(2026-11-23 02:30:00.125 +1);
        Envelope::new(id, EventType::TransactionPosted, "main", time)
            .with_subject("0193a3b8-0000-7000-8000-000000000001")
            .with_correlation_id(Some("order-17".into()))
            .with_traceparent(Some(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
            ))
    }

    fn value<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> &'h str {
        let (_, value) = headers.iter().find(|(found, _)| found == name).unwrap();
        std::str::from_utf8(value).unwrap()
    }

    #[test]
    fn headers_are_cloudevents_in_binary_mode() {
        let headers = envelope().headers();
        assert_eq!(value(&headers, "ce_specversion"), "1.0");
        assert_eq!(
            value(&headers, "ce_id"),
            "0193a3b8-7c4e-7d3a-9b52-6f1a2b3c4d5e"
        );
        assert_eq!(value(&headers, "ce_source"), "/ledgers/main");
        assert_eq!(value(&headers, "ce_type"), "aegis.transaction.posted");
        assert_eq!(value(&headers, "ce_time"), "2026-11-23T01:30:00.125Z");
        assert_eq!(value(&headers, "content-type"), "application/json");
        assert_eq!(value(&headers, "correlation_id"), "order-17");
        assert_eq!(
            value(&headers, "ce_subject"),
            "0193a3b8-0000-7000-8000-000000000001"
        );
        assert!(value(&headers, "traceparent").starts_with("00-"));
    }

    #[test]
    fn an_envelope_survives_the_wire() {
        let sent = envelope();
        assert_eq!(Envelope::from_headers(&sent.headers()).unwrap(), sent);
        assert_eq!(sent.ledger(), Some("main"));

        let bare = Envelope::new(sent.id, sent.event_type, "eu", sent.time);
        let headers = bare.headers();
        assert_eq!(headers.len(), 6);
        assert_eq!(Envelope::from_headers(&headers).unwrap(), bare);
    }

    #[test]
    fn headers_that_are_not_known_are_ignored() {
        let mut headers = envelope().headers();
        headers.insert(0, ("ce_dataschema".into(), vec![0xff]));
        assert_eq!(Envelope::from_headers(&headers).unwrap(), envelope());
    }

    #[test]
    fn a_missing_or_broken_header_is_named() {
        for name in [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_time",
            "content-type",
        ] {
            let mut headers = envelope().headers();
            headers.retain(|(found, _)| found != name);
            let error = Envelope::from_headers(&headers).unwrap_err();
            assert!(
                matches!(error, EventError::HeaderMissing(missing) if missing == name),
                "{error}"
            );

            headers.push((name.into(), vec![0xff, b'x']));
            let error = Envelope::from_headers(&headers).unwrap_err();
            assert!(
                matches!(error, EventError::HeaderInvalid { header, .. } if header == name),
                "{error}"
            );
        }
    }

    #[test]
    fn another_type_is_told_apart_from_a_broken_event() {
        let mut headers = envelope().headers();
        headers.retain(|(name, _)| name != "ce_type");
        headers.push(("ce_type".into(), b"aegis.payout.sent.v9".to_vec()));
        let error = Envelope::from_headers(&headers).unwrap_err();
        assert!(matches!(error, EventError::UnknownType(name) if name == "aegis.payout.sent.v9"));
    }

    #[test]
    fn a_type_that_is_none_of_ours_is_not_quoted() {
        let told = |name: &str| EventError::UnknownType(name.to_owned()).to_string();
        for ours in ["aegis.payout.sent.v9", "aegis.transfer.requseted"] {
            assert_eq!(told(ours), format!("unknown event type {ours:?}"));
        }
        for other in [
            "4242424242424242",
            "card.number",
            "aegis.4242424242424242",
            "aegis.a b",
        ] {
            assert!(!told(other).contains(other), "{other}");
        }
    }

    #[test]
    fn every_type_reads_its_own_name() {
        for known in EventType::ALL {
            assert_eq!(known.as_str().parse::<EventType>().unwrap(), *known);
        }
    }
}
