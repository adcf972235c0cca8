//! What a replay is asked for.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bus::topics::original_of;

/// The most letters that may be named one by one.
pub const IDS_MAX: usize = 10_000;

/// Which letters are to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These, sorted and each once.
    Ids(Vec<i64>),
    /// All that wait and fit.
    Waiting {
        /// Only those whose message was on this topic.
        topic: Option<String>,
        /// Only those whose error holds this text, whatever the case of its letters.
        error: Option<String>,
        /// Only those that failed at this time (UTC) or later.
        since: Option<OffsetDateTime>,
    },
}

impl Which {
    /// Letters by their numbers.
    #[must_use]
    pub fn ids(mut ids: Vec<i64>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self::Ids(ids)
    }

    /// As the body of a request says it (`ids`, or `topic`, `error` and `since`), and the record.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Ids(ids) => json!({ "ids": ids }),
            Self::Waiting {
                topic,
                error,
                since,
            } => {
                let since = since.and_then(|since| since.format(&Rfc3339).ok());
                json!({"topic": topic, "error": error, "since": since})
            }
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Which letters.
    pub which: Which,
    /// At most so many of them.
    pub limit: Option<usize>,
    /// None behind this one.
    pub last_letter_id: Option<i64>,
    /// Only those whose message came from this ledger.
    pub ledger: Option<String>,
    /// Also those that had [`LIVES_MAX`](super::plan::LIVES_MAX) lives; and of letters that are named one by one also those
    /// that were replayed or discarded.
    pub force: bool,
}

impl Selection {
    /// Without limits.
    #[must_use]
    pub fn new(which: Which) -> Self {
        Self {
            which,
            limit: None,
            last_letter_id: None,
            ledger: None,
            force: false,
        }
    }

    /// For the record, as it is read by people.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = self.which.to_json();
        value["limit"] = json!(self.limit);
        value["ledger"] = json!(self.ledger);
        value["force"] = json!(self.force);
        value
    }
}

/// The topic of the messages where a person names it or the topic of its dead letters.
#[must_use]
pub fn original_topic(named: &str) -> String {
    original_of(named).unwrap_or(named).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_topic_names_its_original() {
        assert_eq!(original_topic("aegis.settlements.dlq"), "aegis.settlements");
        assert_eq!(original_topic("aegis.settlements"), "aegis.settlements");
    }

    #[test]
    fn ids_are_sorted_and_stand_once() {
        assert_eq!(Which::ids(vec![3, 1, 3, 2]), Which::Ids(vec![1, 2, 3]));
    }
}
