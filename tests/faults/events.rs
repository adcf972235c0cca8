//! What Kafka must hold in the end.

use std::collections::{HashMap, HashSet};

use aegis::event::DeadLetter;
use serde_json::Value;
use uuid::Uuid;

use crate::check::Posted;
use crate::scene::Scene;
use crate::support::{Arrived, read_all};

/// How the transactions were told.
pub(crate) struct Told {
    /// Events that arrived again.
    pub(crate) repeats: usize,
    /// Dead letters, with those that arrived again.
    pub(crate) letters: usize,
}

/// Each transaction is told once or more, or is a dead letter; nothing else is; and of each key the
/// first arrivals are in order.
pub(crate) async fn told(scene: &Scene, posted: &HashMap<String, Posted>) -> Told {
    let arrived = read_all(&scene.topic.brokers, &scene.topic.name).await;
    let mut told = assert_true_and_in_order(posted, &arrived);
    let repeats = arrived.len() - told.len();
    let letters = read_all(&scene.topic.brokers, &scene.topic.dead_letters()).await;
    let buried: HashSet<Uuid> = letters.iter().map(id_of_letter).collect();
    let both = told.intersection(&buried).next();
    assert_eq!(both, None, "an event that is also a dead letter");
    told.extend(buried);
    let untold = posted.values().find(|posted| !told.contains(&posted.id));
    let untold = untold.map(|posted| posted.id);
    assert_eq!(untold, None, "no event of it");
    assert_eq!(told.len(), posted.len(), "a dead letter of nothing");
    Told {
        repeats,
        letters: letters.len(),
    }
}

fn assert_true_and_in_order(
    posted: &HashMap<String, Posted>,
    arrived: &[Arrived],
) -> HashSet<Uuid> {
    let mut told: HashSet<Uuid> = HashSet::new();
    let mut versions: HashMap<&[u8], i64> = HashMap::new();
    for Arrived { record, .. } in arrived {
        let id = header(&record.headers, "ce_id");
        let event: Value = serde_json::from_slice(&record.payload).unwrap();
        assert_eq!(event["transaction_id"], id);
        let key = event["idempotency_key"].as_str().unwrap();
        let known = posted.get(key).map(|posted| posted.id.to_string());
        assert_eq!(known.as_deref(), Some(id), "an event of nothing: {event}");
        if told.insert(id.parse().unwrap()) {
            let version = version_of_key(&event, &record.key);
            let last = versions.insert(&record.key, version);
            assert!(last < Some(version), "behind {last:?}: {event}");
        }
    }
    told
}

/// The event that the letter is about. A letter that comes again comes under the same id.
fn id_of_letter(letter: &Arrived) -> Uuid {
    let letter = DeadLetter::from_json(&letter.record.payload).unwrap();
    letter.event_id().expect("it is about an event of ours")
}

fn header<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> &'h str {
    let found = headers.iter().find(|(header, _)| header == name);
    std::str::from_utf8(&found.expect("it has that header").1).unwrap()
}

/// The version of the entry on the wallet that is the record's key.
fn version_of_key(event: &Value, key: &[u8]) -> i64 {
    let entries = event["entries"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry["wallet_id"].as_str().map(str::as_bytes) == Some(key));
    let entry = entry.expect("the key is a wallet of the event");
    entry["version"].as_i64().unwrap()
}
