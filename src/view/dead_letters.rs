//! What is seen of dead letters.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::dlq::plan::{LIVES_MAX, unreadable};
use crate::event::{DeadLetter, PayloadEncoding, Text};
use crate::postgres::dead_letters::list::{self, Letter};

/// A dead letter.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// Its number.
    pub id: i64,
    /// The topic of the message that failed, to which a replay publishes it again.
    pub original_topic: String,
    /// The message: JSON as it came, without white space around it, or a string in base64 where it was
    /// no JSON; null where the letter can't be read.
    #[schema(value_type = Option<Value>)]
    pub original_message: Option<Box<RawValue>>,
    /// Why it failed: a code, a colon, words.
    pub error: String,
    /// How many times it was tried.
    pub retry_count: i32,
    /// When it was given up, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub failed_at: OffsetDateTime,
    /// What the message belongs to.
    pub correlation_id: Option<String>,
    /// `waiting`, `replayed` or `discarded`.
    pub status: &'static str,
    /// How often the message was published again, in this life and those before it.
    pub replay_count: i32,
    /// The topic that the letter lies on.
    pub topic: String,
    /// The partition there.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// The message's own id, by which consumers drop repeats.
    pub event_id: Option<Uuid>,
    /// The ledger that the message came from.
    pub ledger: Option<String>,
    /// The letter of the message's life before this one.
    pub previous_id: Option<i64>,
    /// The letter of its first life.
    pub first_id: Option<i64>,
    /// When the letter was found, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub indexed_at: OffsetDateTime,
    /// When it was replayed or discarded, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub decided_at: Option<OffsetDateTime>,
    /// By whom.
    pub decided_by: Option<String>,
    /// Why it was discarded.
    pub reason: Option<String>,
}

impl DeadLetterView {
    fn new(letter: Letter, original_message: Option<Box<RawValue>>) -> Self {
        Self {
            id: letter.id,
            original_topic: letter.original_topic,
            original_message,
            error: letter.error,
            retry_count: letter.retry_count,
            failed_at: letter.failed_at,
            correlation_id: letter.correlation_id,
            status: letter.status.as_str(),
            replay_count: letter.replay_count,
            topic: letter.topic,
            partition: letter.partition,
            offset: letter.offset,
            event_id: letter.event_id,
            ledger: letter.ledger,
            previous_id: letter.previous_id,
            first_id: letter.first_id,
            indexed_at: letter.indexed_at,
            decided_at: letter.decided_at,
            decided_by: letter.decided_by,
            reason: letter.reason,
        }
    }
}

impl From<Letter> for DeadLetterView {
    fn from(letter: Letter) -> Self {
        let message = DeadLetter::from_json(&letter.letter).ok();
        Self::new(letter, message.map(|read| read.original_message))
    }
}

/// One of the lives of a message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LifeView {
    /// The number of its letter.
    pub id: i64,
    /// When the message was given up in this life, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub failed_at: OffsetDateTime,
    /// Why.
    pub error: String,
    /// `waiting`, `replayed` or `discarded`.
    pub status: &'static str,
    /// How often the message had been published again.
    pub replay_count: i32,
    /// When the letter was replayed or discarded, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub decided_at: Option<OffsetDateTime>,
    /// By whom.
    pub decided_by: Option<String>,
}

impl From<&Letter> for LifeView {
    fn from(letter: &Letter) -> Self {
        Self {
            id: letter.id,
            failed_at: letter.failed_at,
            error: letter.error.clone(),
            status: letter.status.as_str(),
            replay_count: letter.replay_count,
            decided_at: letter.decided_at,
            decided_by: letter.decided_by.clone(),
        }
    }
}

/// A dead letter with all that is known of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterDetailView {
    /// The letter.
    #[serde(flatten)]
    pub letter: DeadLetterView,
    /// `json`, or `base64` where the message was no JSON.
    pub original_encoding: Option<&'static str>,
    /// The message's key: a string, or `{"base64": …}` where it was no text.
    pub original_key: Option<Value>,
    /// The message's headers as pairs, in order; values like the key's.
    #[schema(value_type = Vec<Vec<Value>>)]
    pub original_headers: Vec<(String, Value)>,
    /// Why the message can't be published again, where it can't.
    pub unreadable: Option<String>,
    /// Whether it had its lives, so that a replay has to insist.
    pub needs_force: bool,
    /// All letters of the same message, this one among them, in order.
    pub lives: Vec<LifeView>,
}

impl DeadLetterDetailView {
    /// The view of a letter, with the letters of all lives of its message.
    #[must_use]
    pub fn new(letter: Letter, lives: &[Letter]) -> Self {
        let needs_force = letter.replay_count >= LIVES_MAX;
        let unreadable = unreadable(&letter);
        let read = DeadLetter::from_json(&letter.letter).ok();
        let encoding = read.as_ref().map(|read| match read.original_encoding {
            PayloadEncoding::Json => "json",
            PayloadEncoding::Base64 => "base64",
        });
        let (message, key, headers) = match read {
            Some(read) => (
                Some(read.original_message),
                read.original_key,
                read.original_headers,
            ),
            None => (None, None, Vec::new()),
        };
        let headers = headers.into_iter();
        Self {
            original_encoding: encoding,
            original_key: key.map(json),
            original_headers: headers.map(|(name, value)| (name, json(value))).collect(),
            letter: DeadLetterView::new(letter, message),
            unreadable,
            needs_force,
            lives: lives.iter().map(LifeView::from).collect(),
        }
    }
}

fn json(text: Text) -> Value {
    match text {
        Text::Utf8(text) => Value::String(text),
        Text::Bytes { base64 } => json!({ "base64": base64 }),
    }
}

/// The letters of one topic and error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterGroupView {
    /// The topic of the messages.
    pub original_topic: String,
    /// The error's text up to the first colon.
    pub error_code: String,
    /// Letters that wait.
    pub waiting: i64,
    /// Letters that were replayed.
    pub replayed: i64,
    /// Letters that were discarded.
    pub discarded: i64,
    /// When the oldest of those that wait failed, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub oldest_waiting_at: Option<OffsetDateTime>,
    /// How long ago that was, in whole seconds.
    pub oldest_waiting_seconds: Option<i64>,
    /// When the newest of all failed, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub newest_at: OffsetDateTime,
}

/// How many dead letters there are, of what.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterStatsView {
    /// Letters that wait.
    pub waiting: i64,
    /// Letters that were replayed.
    pub replayed: i64,
    /// Letters that were discarded.
    pub discarded: i64,
    /// By topic and error, those with the most that wait first.
    pub groups: Vec<DeadLetterGroupView>,
}

impl DeadLetterStatsView {
    /// The groups as they are seen at a time (UTC), and their sums.
    #[must_use]
    pub fn new(groups: Vec<list::Group>, now: OffsetDateTime) -> Self {
        let sum = |of: fn(&list::Group) -> i64| groups.iter().map(of).fold(0, i64::saturating_add);
        Self {
            waiting: sum(|group| group.waiting),
            replayed: sum(|group| group.replayed),
            discarded: sum(|group| group.discarded),
            groups: groups
                .into_iter()
                .map(|group| DeadLetterGroupView {
                    oldest_waiting_seconds: group
                        .oldest_waiting_at
                        .map(|oldest| (now - oldest).whole_seconds().max(0)),
                    original_topic: group.original_topic,
                    error_code: group.error_code,
                    waiting: group.waiting,
                    replayed: group.replayed,
                    discarded: group.discarded,
                    oldest_waiting_at: group.oldest_waiting_at,
                    newest_at: group.newest_at,
                })
                .collect(),
        }
    }
}
