//! A public data set of real payments, imported whole: every row accounted for, every cent found
//! again in the wallets and, as a consumer reads them from Kafka, in the events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

mod common;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aegis::ledger::Currency;
use aegis::postgres::outbox;
use common::TestDatabase;
use common::ledger::{main_ledger, read_wallet, wallet};
use serde_json::Value;
use support::daemon::Settings;
use support::topic::DaemonTopic;
use support::{PATIENCE, read_all};
use tokio::time::sleep;

const ROWS: u64 = 20_000;
const TOTAL_MINOR: i64 = 307_436_820;

fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/order-payments-20k.csv");
    path.is_file().then_some(path)
}

/// `24.3` in minor units, by the digits alone.
fn minor_units(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 2, "{text}");
    format!("{whole}{fraction:0<2}").parse().unwrap()
}

/// Writes the input of the import; what each merchant is to get, in minor units.
fn prepare(data: &Path, input: &Path) -> BTreeMap<String, i64> {
    let brl = Currency::from_code("BRL").unwrap();
    let mut sums = BTreeMap::new();
    let mut writer = csv::Writer::from_path(input).unwrap();
    writer
        .write_record(["key", "from", "to", "currency", "amount"])
        .unwrap();
    for row in csv::Reader::from_path(data).unwrap().deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let minor = minor_units(&row["payment_value"]);
        let to = format!("merchant:{}:available", row["order_id"].get(..1).unwrap());
        let key = format!("{}-{}", row["order_id"], row["payment_sequential"]);
        let amount = brl.format_minor(minor);
        writer
            .write_record([&key, "psp:paystack", &to, "BRL", &amount])
            .unwrap();
        *sums.entry(to).or_default() += minor;
    }
    writer.flush().unwrap();
    sums
}

/// Imports the input: the summary.
fn import(database: &TestDatabase, topic: &DaemonTopic, directory: &Path, outcomes: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("KAFKA_TOPIC_TRANSACTIONS", &topic.name)
        .current_dir(directory)
        .args([
            "-o",
            "json",
            "transfer",
            "import",
            "in.csv",
            "--outcomes",
            outcomes,
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_real_payments_are_accounted_for_to_the_cent() {
    let Some(data) = data() else {
        eprintln!("skipped: ../shared/data/order-payments-20k.csv is not there");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let sums = prepare(&data, &directory.path().join("in.csv"));
    assert_eq!(sums.values().sum::<i64>(), TOTAL_MINOR);
    let topic = DaemonTopic::on_shared_kafka().await;
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "psp:paystack", "BRL", None).await;
    for merchant in sums.keys() {
        wallet(database.pool(), &ledger, merchant, "BRL", Some(0)).await;
    }
    let settings = Settings::new(database.url()).with_kafka(&topic.brokers, &topic.name);
    let daemon = settings.start().await;

    let summary = import(&database, &topic, directory.path(), "first.csv");
    assert_eq!(summary["read"], ROWS);
    assert_eq!(summary["posted"], ROWS - 1);
    assert_eq!(
        (&summary["rejected"], &summary["invalid"]),
        (&1.into(), &0.into())
    );
    let outcomes = std::fs::read_to_string(directory.path().join("first.csv")).unwrap();
    let rejected: Vec<&str> = outcomes
        .lines()
        .filter(|line| line.contains(",rejected,"))
        .collect();
    assert_eq!(rejected.len(), 1);
    assert!(
        rejected[0].contains(",amount_not_positive,"),
        "{rejected:?}"
    );

    let again = import(&database, &topic, directory.path(), "second.csv");
    assert_eq!(
        (&again["posted"], &again["read"]),
        (&0.into(), &ROWS.into())
    );
    assert_eq!(
        (&again["replayed"], &again["rejected"], &again["invalid"]),
        (&(ROWS - 1).into(), &1.into(), &0.into())
    );

    for (merchant, sum) in &sums {
        let wallet = read_wallet(database.pool(), &ledger, merchant, "BRL").await;
        assert_eq!(wallet.balance, *sum, "{merchant}");
    }
    let outside = read_wallet(database.pool(), &ledger, "psp:paystack", "BRL").await;
    assert_eq!(outside.balance, -TOTAL_MINOR);

    all_published(&database).await;
    assert_eq!(daemon.stop().await, Some(0));
    let (events, credited) = consumed(&topic).await;
    assert_eq!(events, ROWS - 1);
    assert_eq!(credited, sums);
    assert_eq!(credited.values().sum::<i64>(), TOTAL_MINOR);
}

/// Waits until every event has left the outbox.
async fn all_published(database: &TestDatabase) {
    let mut conn = database.pool().acquire().await.unwrap();
    let started = Instant::now();
    while outbox::depth(&mut conn, None).await.unwrap().rows > 0 {
        assert!(started.elapsed() < PATIENCE, "events wait");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What the events on the topic say, repeats dropped by their id: how many there are, and what
/// they credit to whom.
async fn consumed(topic: &DaemonTopic) -> (u64, BTreeMap<String, i64>) {
    let mut seen = HashSet::new();
    let mut credited = BTreeMap::new();
    for arrived in read_all(&topic.brokers, &topic.name).await {
        let mut headers = arrived.record.headers.into_iter();
        let id = headers.find(|(name, _)| name == "ce_id");
        if !seen.insert(id.expect("an event has an id").1) {
            continue;
        }
        let event: Value = serde_json::from_slice(&arrived.record.payload).unwrap();
        let mut sum = 0;
        for entry in event["entries"].as_array().unwrap() {
            assert_eq!(entry["currency"], "BRL");
            let amount = entry["amount"].as_i64().unwrap();
            sum += amount;
            if amount > 0 {
                let address = entry["address"].as_str().unwrap().to_owned();
                *credited.entry(address).or_default() += amount;
            }
        }
        assert_eq!(sum, 0, "{event}");
    }
    (seen.len().try_into().unwrap(), credited)
}
