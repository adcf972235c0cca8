//! Posting within a transaction of the caller's.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

mod common;

use aegis::engine::{Engine, Request, post_within};
use aegis::ledger::{Command, Ledger};
use common::TestDatabase;
use common::ledger::{main_ledger, post, read_wallet, transfer, verdict, wallet};
use sqlx::PgConnection;

const TOPIC: &str = "aegis.transactions";

async fn scene() -> (TestDatabase, Ledger) {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    (database, ledger)
}

async fn within(conn: &mut PgConnection, ledger: &Ledger, command: Command) -> &'static str {
    let request = Request::one(command);
    let outcomes = post_within(conn, ledger, &request, TOPIC).await.unwrap();
    verdict(&outcomes[0])
}

async fn balance(database: &TestDatabase, ledger: &Ledger) -> i64 {
    let shop = read_wallet(database.pool(), ledger, "shop", "NGN").await;
    shop.balance
}

async fn events(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM transaction_outbox")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn money_and_event_come_with_the_callers_commit() {
    let (database, ledger) = scene().await;
    let mut transaction = database.pool().begin().await.unwrap();
    let command = transfer("k", "world", "shop", 70);
    assert_eq!(within(&mut transaction, &ledger, command).await, "posted");
    assert_eq!(
        balance(&database, &ledger).await,
        0,
        "not before the COMMIT"
    );
    transaction.commit().await.unwrap();
    assert_eq!(balance(&database, &ledger).await, 70);
    assert_eq!(events(&database).await, 1);
}

#[tokio::test]
async fn nothing_is_left_of_it_after_the_callers_rollback() {
    let (database, ledger) = scene().await;
    let mut transaction = database.pool().begin().await.unwrap();
    let command = transfer("k", "world", "shop", 70);
    assert_eq!(within(&mut transaction, &ledger, command).await, "posted");
    transaction.rollback().await.unwrap();
    assert_eq!(balance(&database, &ledger).await, 0);
    assert_eq!(events(&database).await, 0);
    let mut transaction = database.pool().begin().await.unwrap();
    let command = transfer("k", "world", "shop", 70);
    assert_eq!(within(&mut transaction, &ledger, command).await, "posted");
}

#[tokio::test]
async fn several_postings_of_one_transaction_see_each_other() {
    let (database, ledger) = scene().await;
    let mut transaction = database.pool().begin().await.unwrap();
    let conn = &mut *transaction;
    for (key, from, to, amount, expected) in [
        ("a", "world", "shop", 50, "posted"),
        ("b", "shop", "world", 30, "posted"),
        ("c", "shop", "world", 21, "insufficient_funds"),
        ("a", "world", "shop", 50, "replayed"),
        ("a", "world", "shop", 51, "idempotency_key_reused"),
    ] {
        let command = transfer(key, from, to, amount);
        assert_eq!(within(conn, &ledger, command).await, expected, "{key}");
    }
    transaction.commit().await.unwrap();
    assert_eq!(balance(&database, &ledger).await, 20);
}

#[tokio::test]
async fn the_engine_beside_it_loses_and_doubles_nothing() {
    let (database, ledger) = scene().await;
    let engine = Engine::new(&database.settings(), TOPIC);
    let others = async {
        for n in 0..60 {
            let command = transfer(&format!("engine-{n}"), "world", "shop", 3);
            assert_eq!(verdict(&post(&engine, &ledger, command).await), "posted");
        }
    };
    let own = async {
        for n in 0..60 {
            let mut transaction = database.pool().begin().await.unwrap();
            let command = transfer(&format!("own-{n}"), "world", "shop", 5);
            assert_eq!(within(&mut transaction, &ledger, command).await, "posted");
            transaction.commit().await.unwrap();
        }
    };
    tokio::join!(others, own);
    assert_eq!(balance(&database, &ledger).await, 60 * 8);
}
