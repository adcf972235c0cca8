//! Verification beside postings, and its end before time.

use std::time::Duration;

use aegis::engine::{Engine, PostError, Request};
use aegis::ledger::{Command, Details, LedgerName, LegDraft};
use aegis::postgres::ledgers;
use aegis::verify::{self, Options, Progress, VerifyError};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::book::{Book, failed};
use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, post_all, transfer_in, verdict, wallet};

const CURRENCIES: [&str; 3] = ["NGN", "USD", "JPY"];
const WALLETS: usize = 40;

/// Journals of up to a hundred legs, and transfers, in all currencies.
fn commands(engine: usize, batch: usize) -> Vec<Command> {
    (0..20)
        .map(|n| {
            let key = format!("{engine}-{batch}-{n}");
            let currency = CURRENCIES[n % CURRENCIES.len()];
            if n % 5 != 0 {
                let to = format!("w{}", (engine + batch + n) % WALLETS);
                return transfer_in(currency, &key, "world", &to, 7);
            }
            let mut legs: Vec<_> = (0..WALLETS)
                .flat_map(|w| CURRENCIES.map(|currency| (format!("w{w}"), currency, 3)))
                .collect();
            let all = 3 * i64::try_from(WALLETS).unwrap();
            legs.extend(CURRENCIES.map(|currency| ("world".to_owned(), currency, -all)));
            let legs: Vec<_> = legs
                .into_iter()
                .map(|(wallet, currency, amount)| LegDraft {
                    wallet: wallet.parse().unwrap(),
                    currency: currency.to_owned(),
                    amount,
                })
                .collect();
            Command::journal(key.parse().unwrap(), &legs, Details::default())
        })
        .collect()
}

async fn make_wallets(pool: &PgPool, ledger: &aegis::ledger::Ledger) {
    for currency in CURRENCIES {
        wallet(pool, ledger, "world", currency, None).await;
        for w in 0..WALLETS {
            wallet(pool, ledger, &format!("w{w}"), currency, Some(0)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sound_ledger_is_clean_while_two_engines_write() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    make_wallets(database.pool(), &ledger).await;
    let stop = CancellationToken::new();
    let mut engines = JoinSet::new();
    for n in 0..2 {
        let engine = Engine::new(&database.settings(), "aegis.transactions");
        let (ledger, stop) = (ledger.clone(), stop.clone());
        engines.spawn(async move {
            let mut posted = 0_u64;
            for batch in 0.. {
                if stop.is_cancelled() {
                    break;
                }
                // The other has the same wallets: who waited for them too long asks again.
                let outcomes = loop {
                    let commands = [Request::independent(commands(n, batch))];
                    match engine.post(&ledger, &commands).await {
                        Err(PostError::Contended { .. }) => {}
                        ended => break ended.unwrap(),
                    }
                };
                for outcome in outcomes.into_iter().flatten() {
                    assert_eq!(verdict(&outcome), "posted", "{outcome:?}");
                    posted += 1;
                }
            }
            posted
        });
    }
    let mut seen = 0;
    for connections in [1, 2, 3, 8, 2, 1, 4, 2] {
        // Each time with more behind it than the last time.
        let progress = Progress::default();
        let report = loop {
            let report = verify::ledger(
                &database.settings(),
                &ledger,
                Options { connections },
                &progress,
                &CancellationToken::new(),
            )
            .await
            .unwrap();
            assert_eq!(failed(&report), []);
            if report.transactions > seen {
                break report;
            }
        };
        seen = report.transactions;
        let standing = progress.standing();
        assert!(standing.entries >= report.entries);
        assert!(standing.pages_done > 0 && standing.pages_total > 0);
    }
    stop.cancel();
    let posted: u64 = engines.join_all().await.into_iter().sum();
    let progress = Progress::default();
    let report = verify::ledger(
        &database.settings(),
        &ledger,
        Options::default(),
        &progress,
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert_eq!(failed(&report), []);
    assert_eq!(report.transactions, posted);
    let standing = progress.standing();
    assert_eq!(standing.entries, report.entries);
    assert_eq!(standing.wallets, report.wallets);
    assert_eq!(standing.pages_done, standing.pages_total);
}

#[tokio::test]
async fn another_ledger_in_the_same_tables_is_left_alone() {
    let book = Book::new().await;
    let pool = book.database.pool();
    let name: LedgerName = "other".parse().unwrap();
    let (other, _) = ledgers::create(&mut pool.acquire().await.unwrap(), &name)
        .await
        .unwrap();
    make_wallets(pool, &other).await;
    let engine = Engine::new(&book.database.settings(), "aegis.transactions");
    post_all(&engine, &other, commands(0, 0)).await;
    book.tamper(&format!(
        "UPDATE ledger_entries SET amount = amount + 1 WHERE ledger_id = {}",
        other.id
    ))
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), []);
    assert_eq!((report.transactions, report.entries), (5, 13));
}

#[tokio::test]
async fn an_empty_ledger_is_clean() {
    let database = TestDatabase::create().await;
    let report = verify::ledger(
        &database.settings(),
        &main_ledger(database.pool()).await,
        Options::default(),
        &Progress::default(),
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert_eq!(failed(&report), []);
    assert_eq!((report.entries, report.wallets), (0, 0));
}

#[tokio::test]
async fn a_verification_that_was_stopped_leaves_nothing_running() {
    let book = Book::new().await;
    let stop = CancellationToken::new();
    // While this lock is held, no verification gets past its own.
    let mut holder = book.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let (settings, ledger) = (book.database.settings(), book.ledger.clone());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move {
            let progress = Progress::default();
            verify::ledger(&settings, &ledger, Options::default(), &progress, &stop).await
        }
    });
    until_connections_are(&book, 1).await;
    stop.cancel();
    let stopped = running.await.unwrap();
    assert!(matches!(stopped, Err(VerifyError::Stopped)));
    // The lock is held still: the server noticed by itself that the client is gone.
    until_connections_are(&book, 0).await;
    holder.rollback().await.unwrap();
}

pub(crate) async fn until_connections_are(book: &Book, expected: i64) {
    for _ in 0..600 {
        let found: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'aegis-verify'",
        )
        .fetch_one(book.database.pool())
        .await
        .unwrap();
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never were there {expected} connections");
}
