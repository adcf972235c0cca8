//! Messages for the settlement consumer that nobody can read: each becomes a dead letter.

use aegis::bus::{KafkaBus, KafkaOptions, Record};

use crate::caller::Caller;
use crate::load::Seen;
use crate::support::topic::{DaemonTopic, settlements_of};

pub(crate) fn send(
    mut caller: Caller,
    topic: &DaemonTopic,
) -> impl Future<Output = Seen> + Send + use<> {
    let bus = KafkaBus::new(KafkaOptions::new(&topic.brokers)).unwrap();
    let topic = settlements_of(&topic.name);
    async move {
        let mut seen = Seen::default();
        while caller.pause(500..2_000).await {
            let key = caller.key();
            let record = Record {
                topic: topic.clone(),
                key: key.clone().into(),
                headers: Vec::new(),
                payload: format!("{{nobody can read {key}").into_bytes(),
            };
            // While Kafka is away it may or may not be there; nothing is sent twice.
            let sent = bus.publish(std::slice::from_ref(&record)).await;
            seen.letters += sent.iter().filter(|sent| sent.is_ok()).count();
        }
        seen
    }
}
