//! Topics of a test's own that daemons publish to and consume from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

use std::time::Duration;

use aegis::bus::topics::with_dead_letters;
use aegis::bus::{KafkaBus, KafkaOptions};
use uuid::Uuid;

use super::{PATIENCE, brokers, ready};

/// On a shared broker it is deleted at the end, also when the test panics.
pub(crate) struct DaemonTopic {
    pub(crate) brokers: String,
    pub(crate) name: String,
    /// Whether the broker outlives the test, so that the topic has to be deleted.
    shared: bool,
}

impl DaemonTopic {
    /// On the broker that all tests share.
    pub(crate) async fn on_shared_kafka() -> Self {
        Self::new(&brokers(), true).await
    }

    /// On a broker that goes with the test.
    pub(crate) async fn on(brokers: &str) -> Self {
        Self::new(brokers, false).await
    }

    async fn new(brokers: &str, shared: bool) -> Self {
        let name = format!("test.daemon.{}", Uuid::new_v4().simple());
        let bus = KafkaBus::new(KafkaOptions::new(brokers)).unwrap();
        ready(&bus).await;
        let settlements = settlements_of(&name);
        let mut topics = with_dead_letters(&[&name, &settlements], 4);
        for topic in topics.iter_mut().filter(|topic| topic.name == settlements) {
            *topic = topic.clone().with("max.message.bytes", "4194304");
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
}

/// The topic of commands beside a daemon's topic of transactions.
pub(crate) fn settlements_of(name: &str) -> String {
    format!("{name}.settlements")
}

impl Drop for DaemonTopic {
    fn drop(&mut self) {
        if !self.shared {
            return;
        }
        let (brokers, name) = (self.brokers.clone(), self.name.clone());
        // A thread of its own, since the test's runtime may be going down.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            let deleting = async {
                let bus = KafkaBus::new(KafkaOptions::new(brokers))?;
                let topics = with_dead_letters(&[&name, &settlements_of(&name)], 4);
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
