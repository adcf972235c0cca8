//! The relay's promises: every event, in order per key, one relay at a time.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use aegis::bus::{Bus, LocalBus, LocalSubscription, Record, topics};
use aegis::engine::Engine;
use aegis::event::{DeadLetter, Envelope, TransactionPosted};
use aegis::ledger::{Ledger, Outcome};
use aegis::outbox::{Relay, RelayOptions, Relayed};
use aegis::postgres::outbox;
use aegis::resilience::backoff::Schedule;
use common::TestDatabase;
use common::ledger::{main_ledger, post_all, transfer, wallet};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

struct Bench {
    database: TestDatabase,
    ledger: Ledger,
    engine: Engine,
    bus: LocalBus,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        for (address, min_balance) in [
            ("world", None),
            ("a", Some(0)),
            ("b", Some(0)),
            ("c", Some(0)),
        ] {
            wallet(database.pool(), &ledger, address, "NGN", min_balance).await;
        }
        let engine = Engine::new(&database.settings(), topics::TRANSACTIONS);
        Self {
            database,
            ledger,
            engine,
            bus: LocalBus::new(100),
        }
    }

    fn subscribe(&self) -> LocalSubscription {
        self.bus
            .subscribe("test", &[topics::TRANSACTIONS, "aegis.transactions.dlq"])
            .unwrap()
    }

    fn relay(&self, poll: Duration) -> Arc<Relay> {
        self.relay_of(100, poll)
    }

    fn relay_of(&self, claim_rows_max: u32, poll: Duration) -> Arc<Relay> {
        let options = RelayOptions {
            claim_rows_max,
            poll,
            schedule: Schedule::STANDARD,
        };
        let bus = Arc::new(Bus::Local(self.bus.clone()));
        Arc::new(Relay::new(self.database.pool().clone(), bus, options))
    }

    /// Transfers to `a` and `b` in turns: the ids of the transactions, in order.
    async fn post(&self, name: &str, count: usize) -> Vec<uuid::Uuid> {
        let commands = (0..count)
            .map(|n| {
                let to = if n % 2 == 0 { "a" } else { "b" };
                transfer(&format!("{name}-{n}"), "world", to, 1)
            })
            .collect();
        let outcomes = post_all(&self.engine, &self.ledger, commands).await;
        let ids = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Posted(receipt) => Some(receipt.transaction_id),
            _ => None,
        });
        ids.collect()
    }

    async fn waiting(&self) -> i64 {
        let mut conn = self.database.pool().acquire().await.unwrap();
        outbox::depth(&mut conn, None).await.unwrap().rows
    }
}

fn id_of(record: &Record) -> uuid::Uuid {
    Envelope::from_headers(&record.headers).unwrap().id
}

/// Takes `count` records, acknowledging each.
async fn take(subscription: &mut LocalSubscription, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let delivery = subscription.recv().await.unwrap();
        records.push(delivery.record.clone());
        delivery.ack();
    }
    records
}

#[tokio::test]
async fn every_event_arrives_in_order_of_its_key_and_leaves_the_outbox() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let ids = bench.post("k", 250).await;
    let stop = CancellationToken::new();
    let (relay, stopped) = (bench.relay(Duration::from_secs(60)), stop.clone());
    let running = tokio::spawn(async move { relay.run(stopped).await });
    let records = take(&mut subscription, 250).await;
    stop.cancel();
    running.await.unwrap();
    let of_key = |key: &[u8]| -> Vec<_> {
        records
            .iter()
            .filter(|record| record.key == key)
            .map(id_of)
            .collect()
    };
    let keys: std::collections::HashSet<_> = records.iter().map(|r| r.key.clone()).collect();
    assert_eq!(
        keys.len(),
        2,
        "the wallets with a minimum balance are the keys"
    );
    for key in keys {
        assert!(of_key(&key).is_sorted());
    }
    let mut arrived: Vec<_> = records.iter().map(id_of).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, ids);
    let event = TransactionPosted::from_json(&records[0].payload).unwrap();
    assert_eq!(
        event.entries.iter().map(|entry| entry.amount).sum::<i64>(),
        0
    );
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn a_commit_wakes_the_relay_without_waiting_for_its_poll() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let stop = CancellationToken::new();
    // It would poll once a day.
    let (relay, stopped) = (bench.relay(Duration::from_secs(86_400)), stop.clone());
    let running = tokio::spawn(async move { relay.run(stopped).await });
    for round in 0..3 {
        bench.post(&format!("round-{round}"), 1).await;
        let woken = tokio::time::timeout(Duration::from_secs(20), take(&mut subscription, 1)).await;
        assert_eq!(woken.unwrap().len(), 1);
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn an_outage_counts_against_no_event_and_loses_none() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let ids = bench.post("k", 4).await;
    let relay = bench.relay(Duration::from_secs(1));
    let mut conn = outbox::dedicated(bench.database.pool()).await.unwrap();
    let now = OffsetDateTime::now_utc();
    // The first record of each key fails, which fails all behind it.
    let publishing = relay.relay_once(&mut conn, now);
    let failing = async {
        for _ in 0..2 {
            subscription
                .recv()
                .await
                .unwrap()
                .nack("the handler's database is away");
        }
    };
    let (relayed, ()) = tokio::join!(publishing, failing);
    assert!(matches!(
        relayed.unwrap(),
        Relayed::Outage { published: 0, .. }
    ));
    let rows = outbox::list(&mut conn, bench.ledger.id, 0, 10)
        .await
        .unwrap();
    assert!(
        rows.iter()
            .all(|row| row.attempts == 0 && row.next_attempt_at.is_none())
    );
    let (relayed, records) =
        tokio::join!(relay.relay_once(&mut conn, now), take(&mut subscription, 4));
    assert_eq!(relayed.unwrap(), Relayed::Batch(4));
    let mut arrived: Vec<_> = records.iter().map(id_of).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, ids);
}

#[tokio::test]
async fn a_refused_event_goes_by_the_schedule_to_the_dead_letters_and_others_pass() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    // a, b, a, b: the first is poison.
    let ids = bench.post("k", 4).await;
    let relay = bench.relay(Duration::from_secs(1));
    let mut conn = outbox::dedicated(bench.database.pool()).await.unwrap();
    let start = OffsetDateTime::now_utc();
    let mut passed = Vec::new();
    for (failures, at) in [(1, 0), (2, 1), (3, 3), (4, 7), (5, 15), (6, 31)] {
        let now = start + Duration::from_secs(at);
        // Just before it is due nothing is tried, and nothing of its key overtakes it.
        if failures > 1 {
            let early = relay
                .relay_once(&mut conn, now - Duration::from_millis(1))
                .await
                .unwrap();
            assert_eq!(early, Relayed::Idle, "before attempt {failures}");
        }
        let mut publishing = std::pin::pin!(relay.relay_once(&mut conn, now));
        let relayed = loop {
            tokio::select! {
                relayed = &mut publishing => break relayed.unwrap(),
                delivery = subscription.recv() => {
                    let delivery = delivery.unwrap();
                    let poison = delivery.record.topic == topics::TRANSACTIONS
                        && id_of(&delivery.record) == ids[0];
                    if poison {
                        delivery.refuse("too large");
                    } else {
                        passed.push(delivery.record.clone());
                        delivery.ack();
                    }
                }
            }
        };
        assert!(matches!(relayed, Relayed::Batch(_)), "{relayed:?}");
    }
    let letter = passed
        .iter()
        .find(|record| record.topic == "aegis.transactions.dlq")
        .unwrap();
    let letter = DeadLetter::from_json(&letter.payload).unwrap();
    assert_eq!(
        (letter.retry_count, letter.original_topic.as_str()),
        (6, topics::TRANSACTIONS)
    );
    assert!(letter.error.contains("too large"));
    // Those of the other key went at once; the one behind it goes now.
    assert_eq!(passed.len(), 3);
    let (_, behind) = tokio::join!(
        relay.relay_once(&mut conn, start + Duration::from_secs(32)),
        take(&mut subscription, 1)
    );
    assert_eq!(id_of(&behind[0]), ids[2]);
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn a_claim_that_was_refused_as_a_whole_holds_nobody_up() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let relay = bench.relay_of(1, Duration::from_secs(60));
    let commands = ["a", "b", "c"].map(|to| transfer(to, "world", to, 1));
    post_all(&bench.engine, &bench.ledger, commands.to_vec()).await;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let running = tokio::spawn(async move { relay.run(stopped).await });
    for _ in 0..2 {
        subscription.recv().await.unwrap().refuse("too large");
    }
    let third = tokio::time::timeout(Duration::from_secs(20), take(&mut subscription, 1)).await;
    assert!(third.is_ok(), "it waits for the next poll");
    stop.cancel();
    drop(subscription);
    running.await.unwrap();
}

#[tokio::test]
async fn one_relay_works_at_a_time_and_another_takes_over() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let stop = CancellationToken::new();
    let running: Vec<_> = (0..2)
        .map(|_| {
            let (relay, stop) = (bench.relay(Duration::from_millis(100)), stop.clone());
            tokio::spawn(async move { relay.run(stop).await })
        })
        .collect();
    let mut ids = bench.post("before", 20).await;
    let mut records = take(&mut subscription, 20).await;
    let holders = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let count: i64 = sqlx::query_scalar(holders)
        .fetch_one(bench.database.pool())
        .await
        .unwrap();
    assert_eq!(count, 1);
    // The connection that holds the lock is cut.
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .execute(bench.database.pool())
    .await
    .unwrap();
    ids.extend(bench.post("after", 20).await);
    while records
        .iter()
        .map(id_of)
        .collect::<std::collections::HashSet<_>>()
        .len()
        < 40
    {
        records.extend(take(&mut subscription, 1).await);
    }
    stop.cancel();
    for relay in running {
        relay.await.unwrap();
    }
    let mut arrived: Vec<_> = records.iter().map(id_of).collect();
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, ids);
}

#[tokio::test]
async fn a_stopped_relay_empties_the_outbox_first() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let relay = bench.relay(Duration::from_secs(60));
    let stop = CancellationToken::new();
    bench.post("k", 150).await;
    let stopped = stop.clone();
    let running = tokio::spawn(async move { relay.run(stopped).await });
    let mut records = take(&mut subscription, 1).await;
    stop.cancel();
    records.extend(take(&mut subscription, 149).await);
    running.await.unwrap();
    assert_eq!(records.len(), 150);
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn what_was_committed_before_the_stop_goes_out_whatever_the_relay_was_at() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let relay = bench.relay(Duration::from_secs(60));
    let stop = CancellationToken::new();
    let first = bench.post("first", 1).await;
    let stopped = stop.clone();
    let running = tokio::spawn(async move { relay.run(stopped).await });
    // Its claim is with the bus while more is committed and the stop comes.
    let delivery = subscription.recv().await.unwrap();
    assert_eq!(id_of(&delivery.record), first[0]);
    let second = bench.post("second", 1).await;
    stop.cancel();
    delivery.ack();
    let records = tokio::time::timeout(Duration::from_secs(20), take(&mut subscription, 1)).await;
    assert_eq!(id_of(&records.unwrap()[0]), second[0]);
    running.await.unwrap();
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn what_becomes_visible_behind_a_floor_is_not_left_until_the_next_poll() {
    let bench = Bench::new().await;
    let mut subscription = bench.subscribe();
    let early = bench.post("early", 1).await;
    // It is taken away, to be seen after what was written later.
    let mut conn = bench.database.pool().acquire().await.unwrap();
    for statement in [
        "CREATE TABLE kept AS SELECT * FROM transaction_outbox",
        "DELETE FROM transaction_outbox",
    ] {
        sqlx::query(statement).execute(&mut *conn).await.unwrap();
    }
    let stop = CancellationToken::new();
    let (relay, stopped) = (bench.relay(Duration::from_secs(86_400)), stop.clone());
    let running = tokio::spawn(async move { relay.run(stopped).await });
    bench.post("late", 1).await;
    take(&mut subscription, 1).await;
    sqlx::query("INSERT INTO transaction_outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept")
        .execute(&mut *conn)
        .await
        .unwrap();
    let found = tokio::time::timeout(Duration::from_secs(60), take(&mut subscription, 1)).await;
    assert_eq!(id_of(&found.unwrap()[0]), early[0]);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn behind_a_floor_nothing_overtakes_what_waits_before_it() {
    let bench = Bench::new().await;
    bench.post("k", 4).await;
    let mut conn = bench.database.pool().acquire().await.unwrap();
    let now = OffsetDateTime::now_utc();
    let all = outbox::claim(&mut conn, 0, 100, now).await.unwrap();
    let ids: Vec<i64> = all.iter().map(|pending| pending.id).collect();
    // The first of key `a` waits for another attempt, and its time has come.
    let first = (all[0].ledger_id, all[0].id);
    outbox::defer(&mut conn, first, now, "refused")
        .await
        .unwrap();
    let claimed = async |conn: &mut _, floor| {
        let claim = outbox::claim(conn, floor, 100, now).await.unwrap();
        claim.iter().map(|pending| pending.id).collect::<Vec<_>>()
    };
    assert_eq!(claimed(&mut conn, 0).await, ids);
    // It lies before the floor: the other one of its key does not go first.
    assert_eq!(claimed(&mut conn, ids[0]).await, [ids[1], ids[3]]);
}
