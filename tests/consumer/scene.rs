//! A ledger, the two halves of the consumer, and a local bus that takes the dead letters.

use std::sync::Arc;
use std::time::Duration;

use aegis::bus::{Arrived, Bus, LocalBus, Place, Record, feed};
use aegis::consumer::{self, Lane, Options, Retried, Retries, Settlements};
use aegis::dlq::Indexer;
use aegis::event::{Envelope, EventType, TransferRequested};
use aegis::ledger::Ledger;
use aegis::postgres::dead_letters::list::{self, Filter, Letter};
use aegis::postgres::retries;
use aegis::resilience::backoff::Schedule;
use sqlx::PgPool;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};

pub(crate) const TOPIC: &str = "aegis.settlements";
pub(crate) const START: OffsetDateTime = datetime!(2026-11-23 01:02:03 UTC);

/// So many seconds after the start.
pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    START + Duration::from_secs(seconds.try_into().unwrap())
}

pub(crate) fn options() -> Options {
    Options {
        schedule: Schedule::STANDARD,
        poll: Duration::from_millis(100),
        remembered: Duration::from_secs(3_600),
        topic_transactions: "aegis.transactions".into(),
        patience: consumer::STEP_MAX,
    }
}

/// A transfer from `world` to `shop`, or the other way round.
pub(crate) fn command(key: &str, from: &str, to: &str, amount: i64) -> TransferRequested {
    TransferRequested {
        idempotency_key: key.to_owned(),
        source: from.to_owned(),
        destination: to.to_owned(),
        currency: "NGN".to_owned(),
        amount,
        reference: None,
        effective_at: None,
        metadata: None,
    }
}

/// A record that asks for a transfer.
pub(crate) fn record(topic: &str, key: &str, asked: &TransferRequested) -> Record {
    let envelope = Envelope::new(Uuid::now_v7(), EventType::TransferRequested, "main", START)
        .with_correlation_id(Some(format!("order-{}", asked.idempotency_key)));
    Record {
        topic: topic.to_owned(),
        key: key.into(),
        headers: envelope.headers(),
        payload: asked.to_json().unwrap(),
    }
}

/// The record as it came in.
pub(crate) fn arrived(record: Record) -> Arrived {
    Arrived {
        record,
        place: Some(Place {
            partition: 0,
            offset: 7,
        }),
    }
}

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    pub(crate) taking: Settlements,
    pub(crate) retrying: Retries,
    pub(crate) bus: LocalBus,
    indexing: Option<DropGuard>,
}

impl Scene {
    /// With wallets `world`, which has no bottom, and `shop`.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        wallet(database.pool(), &ledger, "world", "NGN", None).await;
        wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
        let bus = LocalBus::default();
        let pool = database.settings().posting_pool(4);
        let letters = Arc::new(Bus::Local(bus.clone()));
        let (taking, retrying) = consumer::new(pool, letters, options());
        let mut scene = Self {
            database,
            ledger,
            taking,
            retrying,
            bus,
            indexing: None,
        };
        scene.index_letters();
        scene
    }

    /// From here on dead letters are indexed.
    pub(crate) fn index_letters(&mut self) {
        let stop = CancellationToken::new();
        let bus = Bus::Local(self.bus.clone());
        let letters = bus
            .subscribe("letters", &["aegis.settlements.dlq"])
            .unwrap();
        let indexer = Indexer::new(self.database.pool().clone());
        tokio::spawn(feed("letters", letters, indexer, stop.clone()));
        self.indexing = Some(stop.drop_guard());
    }

    /// From here on the topic of dead letters has a subscriber that is gone.
    pub(crate) async fn lose_the_bus(&mut self) {
        drop(self.indexing.take());
        while self
            .bus
            .subscribe("letters", &["aegis.settlements.dlq"])
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Takes a command from the bus at the start.
    pub(crate) async fn take(&self, key: &str, asked: &TransferRequested) -> Arrived {
        let arrived = arrived(record(TOPIC, key, asked));
        self.taking.take(&arrived, START).await.unwrap();
        arrived
    }

    /// Tries again all that is due at this time; what came of each.
    pub(crate) async fn retry_at(&self, now: OffsetDateTime) -> Vec<Retried> {
        let mut conn = self.pool().acquire().await.unwrap();
        let mut lane = Lane::default();
        let mut all = Vec::new();
        loop {
            match self
                .retrying
                .retry_once(&mut conn, &mut lane, now)
                .await
                .unwrap()
            {
                Retried::Idle(_) => return all,
                retried => all.push(retried),
            }
        }
    }

    pub(crate) async fn balance(&self) -> i64 {
        read_wallet(self.pool(), &self.ledger, "shop", "NGN")
            .await
            .balance
    }

    /// How many messages wait.
    pub(crate) async fn waiting(&self) -> i64 {
        let mut conn = self.pool().acquire().await.unwrap();
        retries::depth(&mut conn).await.unwrap().0
    }

    pub(crate) async fn letters(&self) -> Vec<Letter> {
        let mut conn = self.pool().acquire().await.unwrap();
        let all = Filter::default();
        list::page(&mut conn, &all, 0, i64::MAX).await.unwrap()
    }
}
