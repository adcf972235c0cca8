//! A topic of a test's own that daemons publish to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests state what must hold"
)]

use std::time::Duration;

use aegis::bus::{KafkaBus, KafkaOptions, TopicSpec};
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
        bus.ensure_topics(&[TopicSpec::new(&name, 4)], PATIENCE)
            .await
            .expect("the broker makes a topic");
        Self {
            brokers: brokers.to_owned(),
            name,
            shared,
        }
    }
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
                bus.delete_topics(&[&name], Duration::from_secs(20)).await
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
