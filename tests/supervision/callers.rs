//! Clients that post as fast as they are answered, and take no refusal of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aegis::ledger::Ledger;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, wallet};
use crate::support::PATIENCE;

const MANY: usize = 8;

/// A database with what they post to, and its ledger.
pub(crate) async fn with_wallets() -> (TestDatabase, Ledger) {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    (database, ledger)
}

/// At work, from `world` to `shop`, one minor unit at a time.
pub(crate) struct Callers {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<usize>,
}

impl Callers {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let callers = (0..MANY).map(|caller| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            async move {
                let url = format!("http://{address}/v1/ledgers/main/transfers");
                let body = json!({"source": "world", "destination": "shop", "currency": "NGN",
                    "amount": 1});
                let mut posted = 0_usize;
                while !over.load(Ordering::Relaxed) {
                    // A connection each: none is kept over the restart.
                    let client = reqwest::Client::new();
                    let request = client.post(&url).json(&body);
                    let request = request.header("Idempotency-Key", format!("{caller}-{posted}"));
                    let answer = request.send().await.expect("no connection is refused");
                    assert_eq!(answer.status(), 201);
                    posted += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                posted
            }
        });
        Self {
            callers: callers.collect(),
            over,
            answered,
        }
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn are_answered(&self, many: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + many;
        let until = Instant::now() + PATIENCE;
        while self.answered.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < until, "requests are answered");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// They finish what they are at: how many they posted.
    pub(crate) async fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.callers.join_all().await.into_iter().sum()
    }
}
