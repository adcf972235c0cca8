//! From a dead letter to the record that its message is published as again.

use crate::bus::Record;
use crate::bus::topics::original_of;
use crate::event::{DeadLetter, EventError, header};
use crate::postgres::dead_letters::list::Letter;
use crate::telemetry::new_traceparent;

/// The other half of the W3C trace context, which belongs to the trace that it came with.
const TRACESTATE: &str = "tracestate";

/// Why a letter's message can't be published again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The record is not a dead letter's JSON.
    #[error("it is not a dead letter that Aegis can read: {0}")]
    Letter(EventError),
    /// A part of the message that says base64 and is not.
    #[error("its original message can't be restored: {0}")]
    Original(EventError),
    /// The index and the letter disagree about the topic.
    #[error("it names the topic {letter:?}, and the index {index:?}")]
    OtherTopic {
        /// What the letter says.
        letter: String,
        /// What the index says.
        index: String,
    },
    /// There it would be a dead letter again at once.
    #[error("its original topic {0:?} holds dead letters itself")]
    DeadLetterTopic(String),
}

/// The message of a letter as it is published again: key, payload and headers are the very bytes,
/// but for a new trace and the count of its replays.
pub(super) fn record(letter: &Letter) -> Result<Record, Unreadable> {
    let read = DeadLetter::from_json(&letter.letter).map_err(Unreadable::Letter)?;
    if read.original_topic != letter.original_topic {
        return Err(Unreadable::OtherTopic {
            letter: read.original_topic,
            index: letter.original_topic.clone(),
        });
    }
    if original_of(&letter.original_topic).is_some() {
        return Err(Unreadable::DeadLetterTopic(letter.original_topic.clone()));
    }
    Ok(Record {
        topic: letter.original_topic.clone(),
        key: read.key().map_err(Unreadable::Original)?,
        headers: headers(&read, letter).map_err(Unreadable::Original)?,
        payload: read.payload().map_err(Unreadable::Original)?,
    })
}

/// The key of a letter's message, where as much of it can be read.
pub(super) fn key(letter: &Letter) -> Option<Vec<u8>> {
    let read = DeadLetter::from_json(&letter.letter).ok()?;
    read.key().ok()
}

fn headers(read: &DeadLetter, letter: &Letter) -> Result<Vec<(String, Vec<u8>)>, EventError> {
    let mut headers = read.headers()?;
    let ours = [TRACESTATE, header::REPLAY_COUNT, header::REPLAYED_FROM];
    headers.retain(|(name, _)| !ours.contains(&name.as_str()));
    let mut traced = false;
    for (name, value) in &mut headers {
        if name == header::TRACEPARENT {
            // The old trace ended with the letter.
            *value = new_traceparent().into_bytes();
            traced = true;
        }
    }
    let mut push = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    if !traced {
        push(header::TRACEPARENT, new_traceparent());
    }
    let named = |(name, _): &(String, _)| name == header::CORRELATION_ID;
    if let Some(id) = &read.correlation_id
        && !read.original_headers.iter().any(named)
    {
        push(header::CORRELATION_ID, id.clone());
    }
    let count = i64::from(letter.replay_count).saturating_add(1);
    push(header::REPLAY_COUNT, count.to_string());
    push(header::REPLAYED_FROM, letter.id.to_string());
    Ok(headers)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;
    use crate::event::Original;
    use crate::postgres::dead_letters::list::Status;
    use time::macros::datetime;

    const AT: time::OffsetDateTime = datetime!(2026-11-23 01:02:03 UTC);

    fn indexed(letter: Vec<u8>, original_topic: &str, replay_count: i32) -> Letter {
        Letter {
            id: 7,
            topic: "t.dlq".into(),
            partition: 0,
            offset: 3,
            letter,
            original_topic: original_topic.into(),
            event_id: None,
            ledger: None,
            error: "code: words".into(),
            retry_count: 6,
            failed_at: AT,
            correlation_id: None,
            indexed_at: AT,
            status: Status::Waiting,
            replay_count,
            previous_id: None,
            first_id: None,
            decided_at: None,
            decided_by: None,
            reason: None,
        }
    }

    fn letter(headers: &[(&str, &[u8])], correlation_id: Option<&str>) -> Vec<u8> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect();
        let original = Original {
            topic: "t",
            key: &[0xff, 1],
            headers: &headers,
            payload: b"{\"b\": 1,\"a\":1e400}",
        };
        let correlation_id = correlation_id.map(str::to_owned);
        let letter = DeadLetter::new(original, "code: words", 6, AT, correlation_id).unwrap();
        letter.to_json().unwrap()
    }

    fn names(record: &Record) -> Vec<&str> {
        let names = record.headers.iter().map(|(name, _)| name.as_str());
        names.collect()
    }

    fn value<'r>(record: &'r Record, name: &str) -> &'r str {
        let (_, value) = record.headers.iter().find(|(n, _)| n == name).unwrap();
        std::str::from_utf8(value).unwrap()
    }

    #[test]
    fn headers_keep_their_order_and_only_the_trace_and_the_count_are_new() {
        let old = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let json = letter(
            &[
                ("aegis_replay_count", b"1"),
                ("ce_id", b"x"),
                ("traceparent", old.as_bytes()),
                ("tracestate", b"vendor=1"),
                ("correlation_id", b"c-1"),
                ("odd", &[0xff]),
                ("odd", b"twice"),
                ("aegis_replayed_from", b"5"),
            ],
            Some("c-1"),
        );
        let made = record(&indexed(json, "t", 1)).unwrap();
        assert_eq!(made.key, [0xff, 1]);
        assert_eq!(made.payload, b"{\"b\": 1,\"a\":1e400}");
        let expected = [
            "ce_id",
            "traceparent",
            "correlation_id",
            "odd",
            "odd",
            "aegis_replay_count",
            "aegis_replayed_from",
        ];
        assert_eq!(names(&made), expected);
        assert_eq!(value(&made, "ce_id"), "x");
        assert_eq!(value(&made, "aegis_replay_count"), "2");
        assert_eq!(value(&made, "aegis_replayed_from"), "7");
        assert_eq!(made.headers[3].1, [0xff]);
        let new = value(&made, "traceparent");
        assert_eq!((new.len(), new.starts_with("00-")), (old.len(), true));
        assert_ne!(new, old);
    }

    #[test]
    fn a_letter_without_headers_still_carries_its_correlation_id_on() {
        let made = record(&indexed(letter(&[], Some("c-9")), "t", 0)).unwrap();
        assert_eq!(value(&made, "correlation_id"), "c-9");
        assert_eq!(value(&made, "aegis_replay_count"), "1");
        assert_eq!(names(&made)[0], "traceparent");
    }

    #[test]
    fn what_can_not_be_restored_is_refused_in_words() {
        let told = |letter: Vec<u8>, topic: &str| {
            let error = record(&indexed(letter, topic, 0)).unwrap_err();
            error.to_string()
        };
        assert!(told(b"not json".to_vec(), "t").contains("not a dead letter"));
        assert!(told(b"{}".to_vec(), "t").contains("original_topic"));
        let broken = br#"{"original_topic":"t","original_message":"%%","error":"e","retry_count":1,
            "failed_at":"2026-11-23T01:02:03Z","correlation_id":null,"original_encoding":"base64"}"#;
        assert!(told(broken.to_vec(), "t").contains("not base64"));
        assert_eq!(
            told(letter(&[], None), "u"),
            r#"it names the topic "t", and the index "u""#
        );
        let own = String::from_utf8(letter(&[], None)).unwrap();
        let own = own.replace(r#""original_topic":"t""#, r#""original_topic":"t.dlq""#);
        assert!(told(own.into_bytes(), "t.dlq").contains("holds dead letters itself"));
    }
}
