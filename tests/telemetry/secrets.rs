//! What a message holds stays out of the log, and its lines say whose they are.

use aegis::bus::{KafkaBus, KafkaOptions, Record};
use aegis::event::{Envelope, EventType};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::scene::{CALLER, Scene, TRACE};
use crate::support::topic::{DaemonTopic, settlements_of};

/// A card's number, in forms that an address, a currency or an amount may be mistaken for.
const CARD: &str = "4242424242424242";

fn secret() -> String {
    format!("card {CARD} cvv 123")
}

/// A command that can't be carried out, with a secret in a header or a field.
fn command(topic: &str, header: Option<&str>, field: (&str, Value)) -> Record {
    let (id, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
    let envelope = Envelope::new(id, EventType::TransferRequested, "main", now)
        .with_correlation_id(Some("order-17".to_owned()))
        .with_traceparent(Some(format!("00-{TRACE}-{CALLER}-01")));
    let mut headers = envelope.headers();
    for (name, value) in &mut headers {
        if header == Some(name) {
            *value = secret().into_bytes();
        }
    }
    let mut asked = json!({
        "idempotency_key": Uuid::now_v7().to_string(), "source": "bank:main",
        "destination": "shop", "currency": "NGN", "amount": 100,
    });
    if header.is_none() {
        asked[field.0] = field.1;
    }
    Record {
        topic: settlements_of(topic),
        key: id.to_string().into_bytes(),
        headers,
        payload: asked.to_string().into_bytes(),
    }
}

/// With what of the reason a person is told which part of it is meant.
fn commands(topic: &str) -> Vec<(Record, &'static str)> {
    let field = |name, value, told| (command(topic, None, (name, value)), told);
    let header = |name, told| (command(topic, Some(name), ("", Value::Null)), told);
    vec![
        field("amount", json!(secret()), "amount: a value of another type"),
        field("reference", json!([secret()]), "reference: a value of"),
        field("source", json!(secret()), "unreadable: source "),
        field("destination", json!(secret()), "unreadable: destination "),
        field("effective_at", json!(secret()), "unreadable: effective_at"),
        field("metadata", json!(secret()), "unreadable: metadata"),
        header("ce_specversion", "header ce_specversion is not "),
        header("ce_time", "header ce_time is not "),
        header("ce_source", "header ce_source is not "),
        header("ce_type", "unknown_event_type: "),
        header("content-type", "header content-type is not "),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_command_holds_is_in_the_log_and_its_lines_say_whose_they_are() {
    let topic = DaemonTopic::on_shared_kafka().await;
    let mut scene = Scene::with(|settings| {
        settings
            .with_kafka(&topic.brokers, &topic.name)
            .with("RUST_LOG", "debug")
    })
    .await;
    let commands = commands(&topic.name);
    let refused = command(&topic.name, None, ("currency", json!(CARD)));
    let no_letter = Record {
        topic: format!("{}.dlq", settlements_of(&topic.name)),
        payload: json!({"original_topic": "t", "original_message": 1, "error": "e",
            "retry_count": secret(), "failed_at": "2026-11-26T10:00:00Z", "correlation_id": null})
        .to_string()
        .into_bytes(),
        ..refused.clone()
    };
    let mut records: Vec<Record> = commands.iter().map(|(one, _)| one.clone()).collect();
    records.extend([refused, no_letter]);
    let bus = KafkaBus::new(KafkaOptions::new(&topic.brokers)).unwrap();
    for published in bus.publish(&records).await {
        published.unwrap();
    }
    let letters = commands.len() + 1;
    scene
        .daemon
        .logged_again("a dead letter arrived", letters)
        .await;
    let waits = "a message failed and waits";
    scene.daemon.logged_again(waits, letters).await;
    scene.daemon.terminate();
    scene.daemon.logged("stopped").await;

    let told = scene.daemon.all_logged("a dead letter arrived");
    let told: Vec<&str> = told
        .iter()
        .filter_map(|line| line["error"].as_str())
        .collect();
    let reasons = commands.iter().map(|(_, reason)| *reason);
    for reason in reasons.chain([
        "not_a_dead_letter: ",
        "retry_count: a value of another type",
    ]) {
        let is_told = told.iter().any(|told| told.contains(reason));
        assert!(is_told, "{reason}: {told:#?}");
    }
    let refused = scene.daemon.all_logged(waits);
    let refused = refused.iter().filter_map(|line| line["reason"].as_str());
    let refused = refused.filter(|reason| reason.starts_with("currency_unknown: "));
    assert!(refused.count() > 0);
    for secret in [CARD, "cvv"] {
        assert!(!scene.daemon.log_holds(secret), "{secret} is in the log");
    }

    for message in [waits, "a message became a dead letter"] {
        let lines = scene.daemon.all_logged(message);
        assert!(!lines.is_empty());
        for line in lines {
            assert_eq!(line["correlation_id"], "order-17", "{line}");
            assert_eq!(line["trace_id"], TRACE, "{line}");
        }
    }
}
