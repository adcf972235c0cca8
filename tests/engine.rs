//! The engine's rules on a real database.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

mod common;

use std::sync::Arc;

use aegis::engine::{Committer, Engine, Limits, Request};
use aegis::ledger::{Command, Details, Ledger, LegDraft, Outcome};
use common::TestDatabase;
use common::ledger::{main_ledger, post, post_all, read_wallet, transfer, verdict, wallet};
use sqlx::PgPool;

const TOPIC: &str = "aegis.transactions";

struct Bench {
    database: TestDatabase,
    ledger: Ledger,
    engine: Engine,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        for (address, min_balance) in [("world", None), ("shop", Some(0)), ("fees", Some(0))] {
            wallet(database.pool(), &ledger, address, "NGN", min_balance).await;
        }
        let engine = Engine::new(&database.settings(), TOPIC);
        Self {
            database,
            ledger,
            engine,
        }
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    async fn balance(&self, address: &str) -> i64 {
        read_wallet(self.pool(), &self.ledger, address, "NGN")
            .await
            .balance
    }

    async fn count(&self, table: &'static str) -> i64 {
        let query = match table {
            "transactions" => "SELECT count(*) FROM transactions",
            "ledger_entries" => "SELECT count(*) FROM ledger_entries",
            _ => "SELECT count(*) FROM transaction_outbox",
        };
        sqlx::query_scalar(query)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_transfer_moves_money_and_leaves_one_event() {
    let bench = Bench::new().await;
    let outcome = post(
        &bench.engine,
        &bench.ledger,
        transfer("k", "world", "shop", 500),
    )
    .await;
    let Outcome::Posted(receipt) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(receipt.entries[1].balance_after, 500);
    assert_eq!(
        (bench.balance("world").await, bench.balance("shop").await),
        (-500, 500)
    );
    assert_eq!(bench.count("ledger_entries").await, 2);
    let payload: String = sqlx::query_scalar("SELECT payload FROM transaction_outbox")
        .fetch_one(bench.pool())
        .await
        .unwrap();
    let event: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(event["transaction_id"], receipt.transaction_id.to_string());
    assert_eq!(event["entries"][1]["amount"], 500);
}

fn sorted(mut receipt: aegis::ledger::Receipt) -> aegis::ledger::Receipt {
    receipt.entries.sort_by_key(|entry| entry.wallet_id);
    receipt
}

#[tokio::test]
async fn a_repeat_gives_the_first_answer_and_moves_nothing() {
    let bench = Bench::new().await;
    let command = transfer("k", "world", "shop", 500);
    let Outcome::Posted(first) = post(&bench.engine, &bench.ledger, command.clone()).await else {
        panic!("not posted")
    };
    post(
        &bench.engine,
        &bench.ledger,
        transfer("k2", "world", "shop", 1),
    )
    .await;
    let Outcome::Replayed(second) = post(&bench.engine, &bench.ledger, command).await else {
        panic!("not replayed")
    };
    assert_eq!(sorted(first), sorted(second));
    assert_eq!(bench.balance("shop").await, 501);
    assert_eq!(bench.count("transaction_outbox").await, 2);
}

#[tokio::test]
async fn same_key_with_another_body_is_rejected() {
    let bench = Bench::new().await;
    post(
        &bench.engine,
        &bench.ledger,
        transfer("k", "world", "shop", 500),
    )
    .await;
    let other = post(
        &bench.engine,
        &bench.ledger,
        transfer("k", "world", "shop", 501),
    )
    .await;
    assert_eq!(verdict(&other), "idempotency_key_reused");
    // The key is looked at before all else.
    let worse = post(
        &bench.engine,
        &bench.ledger,
        transfer("k", "world", "world", 0),
    )
    .await;
    assert_eq!(verdict(&worse), "idempotency_key_reused");
    assert_eq!(bench.balance("shop").await, 500);
}

#[tokio::test]
async fn a_rejection_leaves_no_trace_and_burns_no_key() {
    let bench = Bench::new().await;
    let command = transfer("k", "shop", "world", 10);
    let rejected = post(&bench.engine, &bench.ledger, command.clone()).await;
    assert_eq!(verdict(&rejected), "insufficient_funds");
    for table in ["transactions", "ledger_entries", "transaction_outbox"] {
        assert_eq!(bench.count(table).await, 0, "{table}");
    }
    post(
        &bench.engine,
        &bench.ledger,
        transfer("fund", "world", "shop", 10),
    )
    .await;
    let second = post(&bench.engine, &bench.ledger, command).await;
    assert_eq!(verdict(&second), "posted");
}

#[tokio::test]
async fn a_key_twice_in_one_batch_posts_once() {
    for padding in [0, 1_100] {
        let bench = Bench::new().await;
        let mut commands = vec![
            transfer("k", "world", "shop", 5),
            transfer("k", "world", "shop", 5),
            transfer("k", "world", "shop", 6),
        ];
        commands.extend((0..padding).map(|n| transfer(&format!("p{n}"), "world", "fees", 1)));
        let outcomes = post_all(&bench.engine, &bench.ledger, commands).await;
        let verdicts: Vec<_> = outcomes.iter().take(3).map(verdict).collect();
        assert_eq!(verdicts, ["posted", "replayed", "idempotency_key_reused"]);
        assert_eq!(bench.balance("shop").await, 5);
    }
}

#[tokio::test]
async fn a_key_repeated_often_in_one_batch_gives_each_the_first_answer() {
    let bench = Bench::new().await;
    let command = || transfer("k", "world", "shop", 5);
    let other = || transfer("k2", "world", "fees", 1);
    let outcomes = post_all(&bench.engine, &bench.ledger, vec![command(), other()]).await;
    let mut first = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Posted(receipt) => sorted(receipt),
        other => panic!("{other:?}"),
    });
    let (first, second) = (first.next().unwrap(), first.next().unwrap());
    let batch = vec![command(), other(), command(), command()];
    let outcomes = post_all(&bench.engine, &bench.ledger, batch).await;
    let again = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Replayed(receipt) => sorted(receipt),
        other => panic!("{other:?}"),
    });
    let again: Vec<_> = again.collect();
    assert_eq!(again, [first.clone(), second, first.clone(), first]);
}

#[tokio::test]
async fn a_rejected_command_harms_no_other_of_an_independent_batch() {
    for padding in [0, 1_100] {
        let bench = Bench::new().await;
        let mut commands = vec![
            transfer("a", "world", "shop", 5),
            transfer("b", "shop", "world", 6),
            transfer("c", "shop", "fees", 5),
        ];
        commands.extend((0..padding).map(|n| transfer(&format!("p{n}"), "world", "fees", 1)));
        let outcomes = post_all(&bench.engine, &bench.ledger, commands).await;
        let verdicts: Vec<_> = outcomes.iter().take(3).map(verdict).collect();
        assert_eq!(verdicts, ["posted", "insufficient_funds", "posted"]);
        assert_eq!(bench.balance("fees").await, 5 + padding);
    }
}

#[tokio::test]
async fn an_atomic_batch_happens_as_a_whole_or_not_at_all() {
    let bench = Bench::new().await;
    let atomic = |commands| Request {
        commands,
        atomic: true,
    };
    let doomed = atomic(vec![
        transfer("a", "world", "shop", 5),
        transfer("b", "shop", "fees", 6),
        transfer("c", "world", "shop", 1),
    ]);
    let fine = atomic(vec![
        transfer("a", "world", "shop", 7),
        transfer("d", "shop", "fees", 7),
    ]);
    let outcomes = bench
        .engine
        .post(&bench.ledger, &[doomed, fine])
        .await
        .unwrap();
    let verdicts: Vec<Vec<_>> = outcomes
        .iter()
        .map(|outcomes| outcomes.iter().map(verdict).collect())
        .collect();
    assert_eq!(
        verdicts[0],
        ["batch_rejected", "insufficient_funds", "batch_rejected"]
    );
    // The key `a` was not burnt by the batch that didn't happen.
    assert_eq!(verdicts[1], ["posted", "posted"]);
    assert_eq!(
        (bench.balance("shop").await, bench.balance("fees").await),
        (0, 7)
    );
}

#[tokio::test]
async fn a_journal_of_many_legs_and_currencies_posts_as_one() {
    let bench = Bench::new().await;
    for address in ["world", "shop"] {
        wallet(bench.pool(), &bench.ledger, address, "KWD", None).await;
    }
    let leg = |wallet: &str, currency: &str, amount| LegDraft {
        wallet: wallet.parse().unwrap(),
        currency: currency.to_owned(),
        amount,
    };
    let drafts = [
        leg("world", "NGN", -100),
        leg("shop", "NGN", 97),
        leg("fees", "NGN", 3),
        leg("shop", "KWD", -1),
        leg("world", "KWD", 1),
    ];
    let journal = Command::journal("j".parse().unwrap(), &drafts, Details::default());
    let outcome = post(&bench.engine, &bench.ledger, journal).await;
    assert_eq!(verdict(&outcome), "posted");
    assert_eq!(bench.balance("shop").await, 97);
    assert_eq!(bench.count("transactions").await, 1);
    assert_eq!(bench.count("ledger_entries").await, 5);
}

#[tokio::test]
async fn the_same_key_from_50_callers_at_once_posts_once() {
    let bench = Bench::new().await;
    // Two committers, so that the database decides between them.
    let committers = [0, 1].map(|_| {
        let engine = Engine::new(&bench.database.settings(), TOPIC);
        Committer::start(engine, Limits::default()).0
    });
    let calls = (0..50).map(|n| {
        let (committer, ledger) = (committers[n % 2].clone(), bench.ledger.clone());
        tokio::spawn(async move {
            let request = Request::one(transfer("k", "world", "shop", 5));
            verdict(&committer.post(&ledger, request).await.unwrap()[0])
        })
    });
    let mut verdicts = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        verdicts.push(call.await.unwrap());
    }
    assert_eq!(
        verdicts
            .iter()
            .filter(|verdict| **verdict == "posted")
            .count(),
        1
    );
    assert_eq!(
        verdicts
            .iter()
            .filter(|verdict| **verdict == "replayed")
            .count(),
        49
    );
    assert_eq!(bench.balance("shop").await, 5);
}

#[tokio::test]
async fn two_engines_on_the_same_wallets_lose_and_double_nothing() {
    let bench = Bench::new().await;
    post(
        &bench.engine,
        &bench.ledger,
        transfer("fund", "world", "shop", 1_000),
    )
    .await;
    let ledger = Arc::new(bench.ledger.clone());
    let workers = (0..2).map(|worker| {
        let engine = Engine::new(&bench.database.settings(), TOPIC);
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            let mut posted = 0;
            for round in 0..30 {
                let size = if round % 10 == 9 { 1_100 } else { 20 };
                let commands = (0..size)
                    .map(|n| transfer(&format!("{worker}-{round}-{n}"), "shop", "fees", 1))
                    .collect();
                let outcomes = post_all(&engine, &ledger, commands).await;
                posted += outcomes.iter().filter(|o| verdict(o) == "posted").count();
            }
            posted
        })
    });
    let mut posted = 0;
    for worker in workers.collect::<Vec<_>>() {
        posted += worker.await.unwrap();
    }
    // More was asked for than there was; exactly what there was has moved.
    assert_eq!(posted, 1_000);
    assert_eq!(
        (bench.balance("shop").await, bench.balance("fees").await),
        (0, 1_000)
    );
    assert_eq!(bench.count("transactions").await, 1_001);
}

#[tokio::test]
async fn time_never_runs_backwards_along_a_wallet() {
    let bench = Bench::new().await;
    post(
        &bench.engine,
        &bench.ledger,
        transfer("a", "world", "shop", 5),
    )
    .await;
    // As if another node, whose clock is an hour ahead, had written last.
    sqlx::query("UPDATE wallets SET updated_at = now() + interval '1 hour'")
        .execute(bench.pool())
        .await
        .unwrap();
    let Outcome::Posted(receipt) = post(
        &bench.engine,
        &bench.ledger,
        transfer("b", "world", "shop", 5),
    )
    .await
    else {
        panic!("not posted")
    };
    let ahead = receipt.recorded_at - time::OffsetDateTime::now_utc();
    assert!(ahead > time::Duration::minutes(59), "{ahead}");
}

#[tokio::test]
async fn a_wallet_that_was_frozen_between_reading_and_writing_stays_untouched() {
    let bench = Bench::new().await;
    // Any change of the row breaks the fence; the second attempt sees the wallet frozen.
    let mut other = bench.pool().begin().await.unwrap();
    sqlx::query("UPDATE wallets SET status = 'frozen' WHERE address = 'shop'")
        .execute(&mut *other)
        .await
        .unwrap();
    let command = transfer("k", "world", "shop", 5);
    let posting = post(&bench.engine, &bench.ledger, command);
    let freezing = async {
        // The posting has read the wallet and waits for its row.
        loop {
            let waits: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(bench.pool())
            .await
            .unwrap();
            if waits > 0 {
                break;
            }
        }
        other.commit().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(posting, freezing);
    assert_eq!(verdict(&outcome), "wallet_frozen");
    assert_eq!(bench.balance("shop").await, 0);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_replaced_and_nothing_posts_twice() {
    let bench = Bench::new().await;
    post(
        &bench.engine,
        &bench.ledger,
        transfer("a", "world", "shop", 5),
    )
    .await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'aegis-posting'",
    )
    .execute(bench.pool())
    .await
    .unwrap();
    let outcome = post(
        &bench.engine,
        &bench.ledger,
        transfer("b", "world", "shop", 5),
    )
    .await;
    assert_eq!(verdict(&outcome), "posted");
    assert_eq!(bench.balance("shop").await, 10);
}

#[tokio::test]
async fn a_repeat_is_answered_as_before_though_a_rule_would_say_no_by_now() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    let engine = Engine::new(&database.settings(), "aegis.transactions");
    for (key, from, to) in [("in", "world", "shop"), ("out", "shop", "world")] {
        let outcome = post(&engine, &ledger, transfer(key, from, to, 5)).await;
        assert_eq!(verdict(&outcome), "posted");
    }
    // The wallet is empty, and the engine knows it without reading.
    for _ in 0..2 {
        let outcome = post(&engine, &ledger, transfer("out", "shop", "world", 5)).await;
        assert_eq!(verdict(&outcome), "replayed");
    }
    let outcome = post(&engine, &ledger, transfer("more", "shop", "world", 5)).await;
    assert_eq!(verdict(&outcome), "insufficient_funds");
}

#[tokio::test]
async fn what_others_change_on_a_wallet_is_seen_by_an_engine_that_knew_it() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    let engine = Engine::new(&database.settings(), "aegis.transactions");
    let other = Engine::new(&database.settings(), "aegis.transactions");
    for (n, (change, by, expected)) in [
        ("SELECT", &engine, "posted"),
        (
            "UPDATE wallets SET status = 'frozen' WHERE address = 'shop'",
            &engine,
            "wallet_frozen",
        ),
        (
            "UPDATE wallets SET status = 'active' WHERE address = 'shop'",
            &engine,
            "posted",
        ),
        ("SELECT", &other, "posted"),
        ("SELECT", &engine, "posted"),
        ("SELECT", &other, "posted"),
    ]
    .into_iter()
    .enumerate()
    {
        sqlx::query(change).execute(database.pool()).await.unwrap();
        let outcome = post(by, &ledger, transfer(&n.to_string(), "world", "shop", 5)).await;
        assert_eq!(verdict(&outcome), expected, "step {n}");
    }
    let shop = read_wallet(database.pool(), &ledger, "shop", "NGN").await;
    assert_eq!((shop.balance, shop.version), (25, 5));
}
