//! The runbook's commands, in a night in which everything that it is about has happened: a payout of
//! unknown outcome, a run that was killed, dead letters, a discrepancy.

use std::time::Duration;

use aegis::bus::{KafkaBus, Record};
use aegis::config::Secret;
use aegis::ledger::Currency;
use aegis::simulator::{Simulator, SimulatorOptions};

use crate::pages::{all, page, root};
use crate::session::Session;
use crate::support::daemon::Settings;
use crate::support::options;
use crate::support::postgres::Postgres;
use crate::support::topic::{DaemonTopic, settlements_of};

const KEY: &str = "sk_test_simulator";
const PATIENCE: Duration = Duration::from_secs(180);

/// What has happened.
const NIGHT: &str = r#"set -euo pipefail
recipient=$(curl -sf "$PAYSTACK_BASE_URL/transferrecipient" -H "authorization: Bearer $PAYSTACK_SECRET_KEY" \
  -H 'content-type: application/json' -d '{"type": "nuban", "name": "Acme",
  "account_number": "0000000000", "bank_code": "058", "currency": "NGN"}' | grep -o 'RCP_[a-z0-9]*')
for merchant in acme bolt; do
  aegisctl -q merchant create $merchant --name $merchant --currency NGN --terms "{
    \"fee\": {\"basis_points\": 150, \"fixed\": 0},
    \"settlement\": {\"days\": 1, \"calendar\": \"calendar\", \"time_zone\": \"UTC\"},
    \"payout\": {\"minimum\": 0, \"schedule\": \"daily\", \"recipient\": \"$recipient\"}}"
  aegisctl -q transfer post --from psp:paystack --to merchant:$merchant:available --currency NGN \
    --minor 500000 --reference order-1001
done
curl -sf "$PAYSTACK_BASE_URL/simulator/faults" -d '{"fault": "lost", "call": "transfer", "times": 1}'
aegisctl -q payout create --merchant acme --currency NGN --minor 100000 --key lost
until aegisctl -o csv payout list --status unknown | grep -q acme; do sleep 0.1; done
aegisctl -o csv payout list --status unknown | sed -n 2p | cut -d, -f1 > payout
printf 'merchant,currency,minor\nbolt,NGN,200000\n' > evening.csv
code=0
AEGIS_FAILPOINTS=payout_run.frozen=kill@1 \
  aegisctl --yes payout run start --key evening-1 --file evening.csv || code=$?
test $code -gt 128
until test "$(aegisctl -o jsonl dlq list | wc -l)" -eq 2; do sleep 0.1; done
printf 'kind,reference,currency,minor,fee,booked_at,status,id\npayment,who-knows,NGN,7000,0,2026-11-20,booked,77\n' > psp.csv
code=0; aegisctl -q reconcile run --psp paystack --file psp.csv || code=$?
test $code -eq 4
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_runbook_does_something_in_a_bad_night() {
    // A server of its own, so that pg_dump is of its version.
    let postgres = Postgres::start().await;
    postgres.migrated().await.close().await;
    let database_url = postgres.url();
    let topic = DaemonTopic::on_shared_kafka().await;
    let mut psp = SimulatorOptions::new(Secret::new(KEY));
    let ngn = Currency::from_code("NGN").unwrap();
    psp.balances = vec![(ngn, 1_000_000_000)];
    let psp = Simulator::start(psp).await.unwrap();
    // Two commands that nobody can read.
    let bus = KafkaBus::new(options(&topic.brokers)).unwrap();
    let poison = |number: u8| Record {
        topic: settlements_of(&topic.name),
        key: vec![number],
        headers: Vec::new(),
        payload: b"{".to_vec(),
    };
    let published = bus.publish(&[poison(1), poison(2)]).await;
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    let aegisd = Settings::new(&database_url)
        .with_kafka(&topic.brokers, &topic.name)
        .with("PAYSTACK_BASE_URL", &psp.base_url())
        .with("PAYSTACK_SECRET_KEY", KEY)
        // Longer than the night: what was lost is not sent again by itself.
        .with("PAYOUTS_SETTLING_MS", "3600000")
        .start()
        .await;
    let port = aegisd.address.rsplit(':').next().unwrap().to_owned();

    let session = Session::new(&database_url)
        .with("BUS", "kafka")
        .with("KAFKA_BROKERS", &topic.brokers)
        .with("KAFKA_TOPIC_TRANSACTIONS", &topic.name)
        .with("KAFKA_TOPIC_SETTLEMENTS", &settlements_of(&topic.name))
        .with("KAFKA_CONSUMER_GROUP", &topic.name)
        .with("PAYSTACK_BASE_URL", &psp.base_url())
        .with("PAYSTACK_SECRET_KEY", KEY)
        .with("PAYOUTS_SETTLING_MS", "3600000")
        .with("SERVER_PORT", &port)
        .with("LETTER", "1")
        .with("DISCREPANCY", "1")
        .with_programs_of(postgres.bin())
        .instead("8080", &port);
    let said = tokio::task::spawn_blocking(move || {
        session.script("the night", NIGHT, PATIENCE);
        let payout = std::fs::read_to_string(session.directory().join("payout")).unwrap();
        let session = session.with("PAYOUT", payout.trim());
        session.run(&page("docs/runbook.md"), PATIENCE)
    });
    let said = said.await.unwrap();
    for words in [
        "payout run evening-1: 1 of 1 payouts succeeded",
        "hash_chain  yes",
        "missing_here",
        "replayed 1 of 1 letter",
    ] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    psp.stop().await;
}

#[test]
fn what_alerts_programs_and_units_say_of_pages_is_there() {
    let pages = all();
    let mut files = Vec::new();
    for folder in ["packaging", "config", "src", "dev", "migrations"] {
        files_in(&root().join(folder), &mut files);
    }
    let mut seen = 0;
    let mut amiss = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        for piece in text.split("docs/").skip(1) {
            let ends = |c: char| !(c.is_ascii_alphanumeric() || "/_-.#".contains(c));
            let name = piece.split(ends).next().unwrap_or_default();
            let (path, anchor) = name.split_once('#').unwrap_or((name, ""));
            if !path.ends_with(".md") {
                continue;
            }
            seen += 1;
            let path = format!("docs/{path}");
            let there = pages.iter().find(|page| page.path.to_str() == Some(&path));
            let anchors = there.map(|page| page.anchors()).unwrap_or_default();
            let leads = anchor.is_empty() || anchors.iter().any(|known| known == anchor);
            if there.is_none() || !leads {
                amiss.push(format!("{}: docs/{name}", file.display()));
            }
        }
    }
    assert!(seen > 0, "nothing was read");
    assert!(amiss.is_empty(), "not there: {amiss:#?}");
}

fn files_in(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_in(&path, found),
            false => found.push(path),
        }
    }
}
