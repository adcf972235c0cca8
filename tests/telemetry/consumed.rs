//! A command on Kafka goes on with the trace of who sent it.

use aegis::bus::{KafkaBus, KafkaOptions, Record};
use aegis::event::{Envelope, EventType};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::collector::Collector;
use crate::scene::{AMOUNT, CALLER, Scene, TRACE};
use crate::support::topic::{DaemonTopic, settlements_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_posted_and_told_of_in_the_trace_that_it_came_with() {
    let topic = DaemonTopic::on_shared_kafka().await;
    let collector = Collector::start().await;
    let _scene = Scene::with(|settings| {
        settings
            .with_kafka(&topic.brokers, &topic.name)
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
    })
    .await;
    let (id, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let envelope = Envelope::new(id, EventType::TransferRequested, "main", now)
        .with_traceparent(Some(traceparent));
    let command = json!({
        "idempotency_key": "k1", "source": "bank:main", "destination": "shop",
        "currency": "NGN", "amount": AMOUNT,
    });
    let record = Record {
        topic: settlements_of(&topic.name),
        key: b"shop".to_vec(),
        headers: envelope.headers(),
        payload: command.to_string().into_bytes(),
    };
    let bus = KafkaBus::new(KafkaOptions::new(&topic.brokers)).unwrap();
    for published in bus.publish(&[record]).await {
        published.unwrap();
    }
    let told = format!("publish {}", topic.name);
    let trace = collector
        .until("the transaction's event", |spans| {
            spans.iter().any(|s| s.trace == TRACE && s.name == told)
        })
        .await
        .of(TRACE);
    let taken = trace.one("process");
    assert_eq!(taken.parent, CALLER);
    assert_eq!(taken.attribute("messaging.message.id"), id.to_string());
    trace.statement(taken, "SELECT post_batch(");
    trace.statement(taken, "COMMIT");
    // What was posted comes of the consumer's work.
    assert_eq!(trace.one(&told).parent, taken.id);
}
