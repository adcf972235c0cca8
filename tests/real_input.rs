//! A public data set of real payments, imported whole: every row accounted for, every cent found
//! again in the wallets and in the events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "tests state what must hold"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use aegis::ledger::Currency;
use aegis::postgres::outbox;
use common::TestDatabase;
use common::ledger::{main_ledger, read_wallet, wallet};
use serde_json::Value;

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

fn import(database: &TestDatabase, directory: &Path, outcomes: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", database.url())
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
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "psp:paystack", "BRL", None).await;
    for merchant in sums.keys() {
        wallet(database.pool(), &ledger, merchant, "BRL", Some(0)).await;
    }

    let summary = import(&database, directory.path(), "first.csv");
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

    let again = import(&database, directory.path(), "second.csv");
    assert_eq!(
        (&again["posted"], &again["replayed"]),
        (&0.into(), &(ROWS - 1).into())
    );

    for (merchant, sum) in &sums {
        let wallet = read_wallet(database.pool(), &ledger, merchant, "BRL").await;
        assert_eq!(wallet.balance, *sum, "{merchant}");
    }
    let outside = read_wallet(database.pool(), &ledger, "psp:paystack", "BRL").await;
    assert_eq!(outside.balance, -TOTAL_MINOR);

    let (events, credited) = published(&database, ledger.id).await;
    assert_eq!(events, ROWS - 1);
    assert_eq!(credited, sums);
}

/// What the events in the outbox say: how many there are, and what they credit to whom.
async fn published(database: &TestDatabase, ledger_id: i32) -> (u64, BTreeMap<String, i64>) {
    let mut conn = database.pool().acquire().await.unwrap();
    let (mut events, mut after) = (0, 0);
    let mut credited = BTreeMap::new();
    loop {
        let page = outbox::list(&mut conn, ledger_id, after, 3_000)
            .await
            .unwrap();
        let Some(last) = page.last() else {
            return (events, credited);
        };
        after = last.id;
        for event in &page {
            events += 1;
            let payload: Value = serde_json::from_str(&event.payload).unwrap();
            let entries = payload["entries"].as_array().unwrap();
            let amounts: Vec<i64> = entries
                .iter()
                .map(|entry| entry["amount"].as_i64().unwrap())
                .collect();
            assert_eq!(amounts.iter().sum::<i64>(), 0);
            for (entry, amount) in entries
                .iter()
                .zip(amounts)
                .filter(|(_, amount)| *amount > 0)
            {
                let address = entry["address"].as_str().unwrap().to_owned();
                *credited.entry(address).or_default() += amount;
            }
        }
    }
}
