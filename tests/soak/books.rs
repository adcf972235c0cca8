//! What must hold once all is at rest: answers, ledger, events and the PSP's books agree.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use aegis::psp::{RefundStatus, TransferStatus};
use aegis::simulator::Account;
use aegis::verify::{self, Progress};
use sqlx::PgConnection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::load::Seen;
use crate::support::topic::settlements_of;
use crate::support::{PATIENCE, read_all};
use crate::world::{World, ngn};

/// How much a run has done.
pub(crate) struct Findings {
    transactions: usize,
    repeated: usize,
    rejected: usize,
    payments: usize,
    refunds: usize,
    payouts: usize,
    runs: usize,
    letters: usize,
    settlements: i64,
    /// Events that arrived again.
    again: usize,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions, {} answers repeated, {} rejections; {} payments, {} refunds, {} payouts, \
             {} payout runs, {} settlements, {} dead letters; {} events arrived again",
            self.transactions,
            self.repeated,
            self.rejected,
            self.payments,
            self.refunds,
            self.payouts,
            self.runs,
            self.settlements,
            self.letters,
            self.again
        )
    }
}

pub(crate) async fn assert_all_is_well(world: &World, seen: &Seen) -> Findings {
    let mut conn = world.connect().await;
    assert_verified(world).await;
    assert_transfers(&mut conn, seen).await;
    let is = |table| format!("SELECT idempotency_key, id FROM {table}");
    assert_same("payments", &mut conn, &is("payments"), &seen.payments).await;
    let asked = format!("{} WHERE origin = 'request'", is("refunds"));
    assert_same("refunds", &mut conn, &asked, &seen.refunds).await;
    let single = format!("{} WHERE run_key IS NULL", is("payouts"));
    assert_same("payouts", &mut conn, &single, &seen.payouts).await;
    assert_runs(&mut conn, seen).await;
    assert_credited_and_paid_once(world, &mut conn).await;
    let (transactions, again) = assert_events(world, &mut conn).await;
    Findings {
        transactions,
        repeated: seen.repeats,
        rejected: seen.rejected.len(),
        payments: seen.payments.len(),
        refunds: seen.refunds.len(),
        payouts: seen.payouts.len(),
        runs: seen.runs.len(),
        letters: assert_letters(&mut conn, seen).await,
        settlements: count(&mut conn, "SELECT count(*) FROM settlements").await,
        again,
    }
}

async fn count(conn: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(conn).await.unwrap()
}

/// The tool's own proof.
async fn assert_verified(world: &World) {
    let report = verify::ledger(
        &aegis::postgres::Settings::from_url(&world.url).unwrap(),
        &world.ledger,
        verify::Options::default(),
        &Progress::default(),
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert!(report.ok, "{:?}", report.checks);
}

/// What was answered with an id is there once under that id, and nothing else is.
async fn assert_same(what: &str, conn: &mut PgConnection, query: &str, seen: &[(String, Uuid)]) {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .fetch_all(conn)
        .await
        .unwrap();
    let there: HashMap<&str, Uuid> = rows.iter().map(|(key, id)| (key.as_str(), *id)).collect();
    assert_eq!(there.len(), rows.len(), "{what}: one a key");
    for (key, id) in seen {
        assert_eq!(there.get(key.as_str()), Some(id), "{what}: {key}");
    }
    assert_eq!(there.len(), seen.len(), "{what}: nobody else's");
}

async fn assert_transfers(conn: &mut PgConnection, seen: &Seen) {
    let query = "SELECT idempotency_key, id FROM transactions
                 WHERE idempotency_key LIKE 'warm-transfer-%' OR idempotency_key LIKE 'soak-transfer-%'";
    assert_same("transfers", conn, query, &seen.transfers).await;
    // Under a key that was refused there is nothing.
    let posted: HashSet<&str> = seen.transfers.iter().map(|(key, _)| key.as_str()).collect();
    assert!(
        !seen
            .rejected
            .iter()
            .any(|key| posted.contains(key.as_str()))
    );
}

async fn assert_runs(conn: &mut PgConnection, seen: &Seen) {
    let mut finished: Vec<String> =
        sqlx::query_scalar("SELECT key::text FROM payout_runs WHERE status = 'finished'")
            .fetch_all(conn)
            .await
            .unwrap();
    let mut asked = seen.runs.clone();
    finished.sort();
    asked.sort();
    assert_eq!(finished, asked, "each run is finished");
}

/// The PSP's books and the ledger tell the same.
async fn assert_credited_and_paid_once(world: &World, conn: &mut PgConnection) {
    let credited: HashSet<String> =
        sqlx::query_scalar("SELECT reference FROM payments WHERE paid_at IS NOT NULL")
            .fetch_all(&mut *conn)
            .await
            .unwrap()
            .into_iter()
            .collect();
    let paid: HashSet<String> =
        sqlx::query_scalar("SELECT reference FROM payouts WHERE status = 'succeeded'")
            .fetch_all(&mut *conn)
            .await
            .unwrap()
            .into_iter()
            .collect();
    let refunded = count(
        conn,
        "SELECT coalesce(sum(amount), 0)::bigint FROM refunds WHERE status = 'succeeded'",
    )
    .await;
    let owed = count(
        conn,
        "SELECT balance FROM wallets WHERE address = 'psp:paystack' AND currency = 'NGN'",
    )
    .await;
    world.simulator.with_books(|books| {
        let paid_in = books.payments().filter(|payment| payment.paid_at.is_some());
        let paid_in: HashSet<String> = paid_in.map(|payment| payment.reference.clone()).collect();
        assert_eq!(credited, paid_in, "what was paid is credited");
        let arrived = books
            .transfers()
            .filter(|transfer| transfer.status == TransferStatus::Success);
        let arrived: HashSet<String> = arrived.map(|t| t.reference.clone()).collect();
        assert_eq!(paid, arrived, "what was paid out arrived");
        let given_back = books
            .refunds()
            .filter(|refund| refund.status == RefundStatus::Processed);
        let given_back: i64 = given_back.map(|refund| refund.amount).sum();
        assert_eq!(refunded, given_back, "what was given back");
        let balance = books.balances().get(&(Account::Balance, ngn())).copied();
        assert_eq!(Some(-owed), balance, "what lies at the PSP");
    });
    assert_no_discrepancy(world, conn).await;
}

/// But for transfers that came back, where the PSP told that first, and only then that they had
/// arrived: a person is to look at what it says against itself.
async fn assert_no_discrepancy(world: &World, conn: &mut PgConnection) {
    let found: Vec<(String, String, String)> =
        sqlx::query_as("SELECT class::text, reference::text, detail::text FROM discrepancies")
            .fetch_all(conn)
            .await
            .unwrap();
    world.simulator.with_books(|books| {
        let reversed = books
            .transfers()
            .filter(|transfer| transfer.status == TransferStatus::Reversed);
        let reversed: HashSet<&str> = reversed.map(|t| t.reference.as_str()).collect();
        let odd = found.iter().find(|(class, reference, _)| {
            class != "status" || !reversed.contains(reference.as_str())
        });
        assert_eq!(odd, None);
    });
}

/// Each transaction is told under its id, and what is told again is the same: how many there are, and
/// how many came again.
async fn assert_events(world: &World, conn: &mut PgConnection) -> (usize, usize) {
    let topic = &world.topic;
    let mut again = 0;
    let mut told = Vec::new();
    for name in [topic.name.clone(), settlements_of(&topic.name)] {
        let mut events: HashMap<String, Vec<u8>> = HashMap::new();
        for arrived in read_all(&topic.brokers, &name).await {
            let headers = arrived.record.headers;
            let id = headers.into_iter().find(|(name, _)| name == "ce_id");
            // What nobody can read has none.
            let Some((_, id)) = id else { continue };
            let id = String::from_utf8(id).unwrap();
            let payload = arrived.record.payload;
            match events.get(&id) {
                Some(first) => {
                    assert_eq!(*first, payload, "{id} came again as another event");
                    again += 1;
                }
                None => drop(events.insert(id, payload)),
            }
        }
        told.push(events);
    }
    let transactions: HashSet<String> = sqlx::query_scalar("SELECT id::text FROM transactions")
        .fetch_all(conn)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let events: HashSet<String> = told[0].keys().cloned().collect();
    let untold = transactions.difference(&events).next();
    assert_eq!(untold, None, "a transaction without its event");
    let strange = events.difference(&transactions).next();
    assert_eq!(strange, None, "an event of no transaction");
    (transactions.len(), again)
}

/// What nobody can read is kept, some time after it was set aside.
async fn assert_letters(conn: &mut PgConnection, seen: &Seen) -> usize {
    let began = Instant::now();
    loop {
        let letters = count(conn, "SELECT count(*) FROM dead_letters").await;
        let letters = usize::try_from(letters).unwrap();
        if letters >= seen.letters {
            return letters;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} messages became {letters} letters",
            seen.letters
        );
        sleep(Duration::from_millis(100)).await;
    }
}
