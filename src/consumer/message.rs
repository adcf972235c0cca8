//! From a record to a message of the consumer's.

use crate::bus::Arrived;
use crate::event::{Envelope, digest_id, header};
use crate::postgres::retries::Message;
use crate::telemetry::caused_by;
use crate::telemetry::span::{Kind, Span};

/// The message of a record. Where it has no id of its own, what it is and where it lies stand in for
/// one: read again, it has the same.
pub(super) fn message_of(arrived: &Arrived) -> Message {
    let record = &arrived.record;
    let event_id = Envelope::id_of(&record.headers).unwrap_or_else(|| {
        let place = arrived.place.map_or((-1, -1), |p| (p.partition, p.offset));
        digest_id(&[
            record.topic.as_bytes(),
            &place.0.to_be_bytes(),
            &place.1.to_be_bytes(),
            &record.key,
            &record.payload,
        ])
    });
    Message {
        event_id,
        topic: record.topic.clone(),
        key: record.key.clone(),
        headers: record.headers.clone(),
        payload: record.payload.clone(),
        correlation_id: Envelope::correlation_id_of(&record.headers).map(str::to_owned),
    }
}

fn traceparent_of(message: &Message) -> Option<&str> {
    message
        .headers
        .iter()
        .find(|(name, _)| name == header::TRACEPARENT)
        .and_then(|(_, value)| std::str::from_utf8(value).ok())
}

/// Works on a message: in a span, and with log lines that say whose request caused it.
pub(super) fn working_on<F: Future>(
    message: &Message,
    span: &Span,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let correlation_id = message.correlation_id.as_deref();
    caused_by(correlation_id, traceparent_of(message), span.within(work))
}

/// The work on a message, in the trace of the request that caused it.
pub(super) fn span_of(message: &Message, attempt: u32) -> Span {
    let span = Span::going_on(traceparent_of(message), Kind::Consumer, "process");
    if span.is_recorded() {
        span.set("messaging.system", "kafka");
        span.set("messaging.destination.name", message.topic.clone());
        span.set("messaging.message.id", message.event_id.to_string());
        span.set("aegis.attempt", i64::from(attempt));
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Place, Record};

    fn arrived(headers: &[(&str, &str)], offset: i64) -> Arrived {
        let headers = headers.iter();
        Arrived {
            record: Record {
                topic: "t".into(),
                key: b"k".to_vec(),
                headers: headers
                    .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                    .collect(),
                payload: b"{".to_vec(),
            },
            place: Some(Place {
                partition: 0,
                offset,
            }),
        }
    }

    #[test]
    fn a_message_goes_by_its_own_id() {
        let id = "0193a3b8-7c4e-7d3a-9b52-6f1a2b3c4d5e";
        let message = message_of(&arrived(&[("ce_id", id), ("correlation_id", "order-1")], 7));
        assert_eq!(message.event_id.to_string(), id);
        assert_eq!(message.correlation_id.as_deref(), Some("order-1"));
    }

    #[test]
    fn a_message_without_an_id_has_the_same_one_whenever_it_is_read() {
        let read = |offset| message_of(&arrived(&[("ce_id", "none")], offset)).event_id;
        assert_eq!(read(7), read(7));
        assert_ne!(
            read(7),
            read(8),
            "the same bytes at another place are another message"
        );
    }
}
