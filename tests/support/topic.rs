//! A topic of a test's own that daemons publish to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

use std::time::Duration;

use aegis::bus::{KafkaBus, KafkaOptions, TopicSpec, topics};
use uuid::Uuid;

use super::{PATIENCE, brokers, ready};

/// On a shared broker it is deleted at the end, also when the test panics.
pub(crate) struct DaemonTopic {
    pub(crate) brokers: String,
    pub(crate) name: String,
    /// Where its dead letters go, where it has such a topic.
    pub(crate) dead_letters: Option<String>,
    /// Whether the broker outlives the test, so that the topic has to be deleted.
    shared: bool,
}

impl DaemonTopic {
    /// On the broker that all tests share.
    pub(crate) async fn on_shared_kafka() -> Self {
        Self::new(&brokers(), true).await
    }

    /// On the broker that all tests share, where it takes no message of more bytes; with a topic for
    /// its dead letters.
    pub(crate) async fn narrow(bytes_max: u32) -> Self {
        let mut topic = Self::unmade(&brokers(), true);
        let letters = topics::dead_letters_of(&topic.name);
        let bytes_max = bytes_max.to_string();
        let specs = [
            TopicSpec::new(&topic.name, 4).with("max.message.bytes", bytes_max),
            TopicSpec::new(&letters, 1),
        ];
        topic.dead_letters = Some(letters);
        topic.make(&specs).await;
        topic
    }

    /// On a broker that goes with the test.
    pub(crate) async fn on(brokers: &str) -> Self {
        Self::new(brokers, false).await
    }

    async fn new(brokers: &str, shared: bool) -> Self {
        let topic = Self::unmade(brokers, shared);
        topic.make(&[TopicSpec::new(&topic.name, 4)]).await;
        topic
    }

    fn unmade(brokers: &str, shared: bool) -> Self {
        Self {
            brokers: brokers.to_owned(),
            name: format!("test.daemon.{}", Uuid::new_v4().simple()),
            dead_letters: None,
            shared,
        }
    }

    async fn make(&self, specs: &[TopicSpec]) {
        let bus = KafkaBus::new(KafkaOptions::new(&self.brokers)).unwrap();
        ready(&bus).await;
        bus.ensure_topics(specs, PATIENCE)
            .await
            .expect("the broker makes a topic");
    }
}

impl Drop for DaemonTopic {
    fn drop(&mut self) {
        if !self.shared {
            return;
        }
        let names = [Some(self.name.clone()), self.dead_letters.clone()];
        let brokers = self.brokers.clone();
        // A thread of its own, since the test's runtime may be going down.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            let deleting = async {
                let bus = KafkaBus::new(KafkaOptions::new(brokers))?;
                let names: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
                bus.delete_topics(&names, Duration::from_secs(20)).await
            };
            runtime
                .block_on(deleting)
                .map_err(|error| error.to_string())
        });
        if let Ok(Err(error)) = deleted.join() {
            eprintln!("topic {} is left behind: {error}", self.name);
        }
    }
}
