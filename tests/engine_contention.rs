//! Engines that write to the same wallets at once.

#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

mod common;

use aegis::engine::{Committer, Engine, Limits, PostError, Request};
use common::TestDatabase;
use common::ledger::{main_ledger, post_all, read_wallet, transfer, verdict, wallet};
use tokio::task::JoinSet;

const ENGINES: usize = 3;
const BATCHES: usize = 40;
const WALLETS: usize = 40;

/// What is being changed by another engine exists all the same: waiting for it may not make a
/// wallet vanish from sight.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wallets_that_others_write_to_are_still_found() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    for n in 0..WALLETS {
        let address = format!("w{n}");
        wallet(database.pool(), &ledger, &address, "NGN", Some(0)).await;
    }
    // As the server does by itself after a while: plans are made for the table as it is.
    sqlx::query("ANALYZE wallets")
        .execute(database.pool())
        .await
        .unwrap();
    let mut engines = JoinSet::new();
    for engine_number in 0..ENGINES {
        let engine = Engine::new(&database.settings(), "aegis.transactions");
        let ledger = ledger.clone();
        engines.spawn(async move {
            for batch in 0..BATCHES {
                let commands = (0..WALLETS)
                    .map(|n| {
                        let key = format!("{engine_number}-{batch}-{n}");
                        transfer(&key, "world", &format!("w{n}"), 1)
                    })
                    .collect();
                for outcome in post_all(&engine, &ledger, commands).await {
                    assert_eq!(verdict(&outcome), "posted", "{outcome:?}");
                }
            }
        });
    }
    engines.join_all().await;
    let world = read_wallet(database.pool(), &ledger, "world", "NGN").await;
    let posted = i64::try_from(ENGINES * BATCHES * WALLETS).unwrap();
    assert_eq!((world.balance, world.version), (-posted, posted));
}

#[tokio::test]
async fn a_locked_wallet_turns_away_those_who_name_it_and_nobody_else() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    for address in ["world", "locked", "free"] {
        wallet(database.pool(), &ledger, address, "NGN", None).await;
    }
    let mut somebody = database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM wallets WHERE address = 'locked' FOR UPDATE")
        .execute(&mut *somebody)
        .await
        .unwrap();
    let engine = Engine::new(&database.settings(), "aegis.transactions");
    let (committer, _) = Committer::start(engine, Limits::default());
    let post = |key: &'static str, to: &'static str| {
        let request = Request::one(transfer(key, "world", to, 1));
        let (committer, ledger) = (committer.clone(), ledger.clone());
        async move { committer.post(&ledger, request).await }
    };
    // Queued before the committer runs: one batch.
    let (one, locked, two) =
        tokio::join!(post("1", "free"), post("2", "locked"), post("3", "free"));
    assert!(
        matches!(locked, Err(PostError::Contended { .. })),
        "{locked:?}"
    );
    for posted in [one, two] {
        assert_eq!(verdict(&posted.unwrap()[0]), "posted");
    }
    somebody.rollback().await.unwrap();
    let again = post("2", "locked").await.unwrap();
    assert_eq!(verdict(&again[0]), "posted");
}
