//! Topics of a test's own that daemons publish to and consume from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

use std::time::Duration;

use aegis::bus::topics::{dead_letters_of, with_dead_letters};
use aegis::bus::{KafkaBus, KafkaOptions, TopicSpec};
use uuid::Uuid;

use super::{PATIENCE, brokers, ready};

/// A topic of transactions, one of commands beside it, and each with its dead letters. On a shared
/// broker they are deleted at the end, also when the test panics.
pub(crate) struct DaemonTopic {
    pub(crate) brokers: String,
    /// Of transactions.
    pub(crate) name: String,
    /// Whether the broker outlives the test, so that the topics have to be deleted.
    shared: bool,
}

impl DaemonTopic {
    /// On the broker that all tests share.
    pub(crate) async fn on_shared_kafka() -> Self {
        Self::new(&brokers(), true, 1_048_588).await
    }

    /// On the broker that all tests share, where that of transactions takes no message of more bytes.
    pub(crate) async fn narrow(bytes_max: u32) -> Self {
        Self::new(&brokers(), true, bytes_max).await
    }

    /// On a broker that goes with the test.
    pub(crate) async fn on(brokers: &str) -> Self {
        Self::new(brokers, false, 1_048_588).await
    }

    async fn new(brokers: &str, shared: bool, bytes_max: u32) -> Self {
        let name = format!("test.daemon.{}", Uuid::new_v4().simple());
        let bus = KafkaBus::new(KafkaOptions::new(brokers)).unwrap();
        ready(&bus).await;
        let mut topics = specs(&name);
        for topic in &mut topics {
            // Commands may come from producers that send more than Aegis does.
            let bytes_max = match &topic.name {
                own if *own == name => bytes_max,
                commands if *commands == settlements_of(&name) => 4 * 1024 * 1024,
                _ => continue,
            };
            *topic = topic
                .clone()
                .with("max.message.bytes", bytes_max.to_string());
        }
        bus.ensure_topics(&topics, PATIENCE)
            .await
            .expect("the broker makes topics");
        Self {
            brokers: brokers.to_owned(),
            name,
            shared,
        }
    }

    /// Where the dead letters of transactions go.
    pub(crate) fn dead_letters(&self) -> String {
        dead_letters_of(&self.name)
    }
}

/// The topic of commands beside a daemon's topic of transactions.
pub(crate) fn settlements_of(name: &str) -> String {
    format!("{name}.settlements")
}

fn specs(name: &str) -> Vec<TopicSpec> {
    with_dead_letters(&[name, &settlements_of(name)], 4)
}

impl Drop for DaemonTopic {
    fn drop(&mut self) {
        if !self.shared {
            return;
        }
        let (brokers, topics) = (self.brokers.clone(), specs(&self.name));
        // A thread of its own, since the test's runtime may be going down.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            let deleting = async {
                let bus = KafkaBus::new(KafkaOptions::new(brokers))?;
                let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
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
