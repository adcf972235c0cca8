//! The topics' names, and what they are made with.

use crate::event::EventType;

/// Everything that was posted to a ledger.
pub const TRANSACTIONS: &str = "aegis.transactions";

/// Merchants, payments, settlements, payouts, and the commands of the settlement consumer.
pub const SETTLEMENTS: &str = "aegis.settlements";

/// What a topic's dead letters end with.
pub const DEAD_LETTER_SUFFIX: &str = ".dlq";

/// The topic that an event goes to.
pub const fn of(event_type: EventType) -> &'static str {
    match event_type {
        EventType::TransactionPosted => TRANSACTIONS,
        _ => SETTLEMENTS,
    }
}

/// Where a topic's dead letters go. A dead letter that fails stays on its own
/// topic: there is no `.dlq.dlq`.
pub fn dead_letters_of(topic: &str) -> String {
    if topic.ends_with(DEAD_LETTER_SUFFIX) {
        topic.to_owned()
    } else {
        format!("{topic}{DEAD_LETTER_SUFFIX}")
    }
}

/// The topic whose dead letters these are, or `None` for a topic of another kind.
pub fn original_of(topic: &str) -> Option<&str> {
    topic.strip_suffix(DEAD_LETTER_SUFFIX)
}

/// A topic that should exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its number of partitions, from 1. It must not change once records are
    /// there: a key's later records would go to another partition.
    pub partitions: i32,
    /// Copies of each partition, from 1; -1 leaves it to the broker's default.
    pub replication: i32,
    /// Settings of the topic by Kafka's names, such as `retention.ms`.
    pub settings: Vec<(String, String)>,
}

impl TopicSpec {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication: -1,
            settings: Vec::new(),
        }
    }

    /// With one setting of the topic more.
    #[must_use]
    pub fn with(mut self, setting: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((setting.into(), value.into()));
        self
    }
}

/// The largest dead letter.
pub const LETTER_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Topics and their dead letters' topics; dead letters have one partition and are kept for ever,
/// since each waits for a person, and
/// take larger records, since a letter holds a message and more.
pub fn with_dead_letters(names: &[&str], partitions: i32) -> Vec<TopicSpec> {
    let pairs = names.iter().map(|name| {
        let letters = TopicSpec::new(dead_letters_of(name), 1)
            .with("retention.ms", "-1")
            .with("max.message.bytes", LETTER_BYTES_MAX.to_string());
        [TopicSpec::new(*name, partitions), letters]
    });
    pairs.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_its_dead_letters() {
        let topics = with_dead_letters(&[TRANSACTIONS, SETTLEMENTS], 6);
        let names: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
        assert_eq!(
            names,
            [
                "aegis.transactions",
                "aegis.transactions.dlq",
                "aegis.settlements",
                "aegis.settlements.dlq"
            ]
        );
    }

    #[test]
    fn dead_letters_of_dead_letters_stay_where_they_are() {
        assert_eq!(dead_letters_of(TRANSACTIONS), "aegis.transactions.dlq");
        assert_eq!(
            dead_letters_of("aegis.transactions.dlq"),
            "aegis.transactions.dlq"
        );
        assert_eq!(original_of("aegis.transactions.dlq"), Some(TRANSACTIONS));
        assert_eq!(original_of(TRANSACTIONS), None);
    }
}
