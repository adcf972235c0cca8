//! A merchant whose payments are settled and paid out.

use aegis::ledger::Ledger;
use aegis::payouts::{self, NewPayout, Requested, Timing};
use aegis::postgres::webhooks::{self, NewWebhook};
use aegis::psp::{Transfer, TransferStatus};
use aegis::resilience::backoff::Schedule;
use aegis::settlement::{self, Scope, Step};
use aegis::trace::{self, Thing, Trace};
use sqlx::PgPool;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::main_ledger;
use crate::common::merchant::merchant;
use crate::common::payment;

/// No fee, T+1 in days of UTC, no reserve.
const PLAIN: &str = r#"{
    "fee": {"basis_points": 0, "fixed": 0},
    "settlement": {"days": 1, "calendar": "calendar", "time_zone": "UTC"},
    "payout": {"minimum": 0, "schedule": "manual", "recipient": "RCP_acme"}
}"#;

pub(crate) const MORNING: OffsetDateTime = datetime!(2026-11-02 09:00 UTC);

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    pub(crate) pool: PgPool,
}

impl Scene {
    /// With the merchant `acme` in NGN.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", PLAIN).await;
        let pool = database.settings().posting_pool(4);
        Self {
            database,
            ledger,
            pool,
        }
    }

    /// A payment that acme got on a day after the first one.
    pub(crate) async fn paid(&self, amount: i64, day: i64) -> Uuid {
        let at = MORNING + Duration::days(day);
        payment::paid(&self.pool, &self.ledger, "acme", "NGN", amount, at).await
    }

    /// Settles what had matured so many days after the first one.
    pub(crate) async fn settle(&self, day: i64) -> Vec<Uuid> {
        let scope = Scope {
            merchant: None,
            at: MORNING + Duration::days(day),
            by: "tester".to_owned(),
        };
        let options = settlement::Options {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
        };
        let mut settled = Vec::new();
        let tell = |step: &Step| {
            if let Step::Settled(settlement) = step {
                settled.push(settlement.id);
            }
        };
        let stop = CancellationToken::new();
        let report = settlement::run(&self.pool, &options, &self.ledger, &scope, &stop, tell);
        assert_eq!(report.await.unwrap().failed, []);
        settled
    }

    /// Asks for a payout.
    pub(crate) async fn pay_out(&self, amount: i64) -> Uuid {
        let key = format!("payout-{}", Uuid::now_v7());
        let new = NewPayout {
            merchant: "acme".parse().unwrap(),
            currency: "NGN".parse().unwrap(),
            amount,
            label: Some("november".to_owned()),
            key: key.parse().unwrap(),
            run: None,
            correlation_id: Some("payday".to_owned()),
            traceparent: None,
            requested_by: "tester".to_owned(),
        };
        let (options, now) = (options(), OffsetDateTime::now_utc());
        let mut transaction = self.pool.begin().await.unwrap();
        let asked = payouts::request(&mut transaction, &options, &self.ledger, &new, now);
        let asked = asked.await.unwrap();
        transaction.commit().await.unwrap();
        match asked {
            Requested::Now(payout) => payout.id,
            other => panic!("the payout is not new: {other:?}"),
        }
    }

    /// The PSP tells how a payout ended.
    pub(crate) async fn told(&self, payout: Uuid, amount: i64, status: TransferStatus) {
        let transfer = Transfer {
            reference: payout.to_string(),
            code: format!("TRF_{}", payout.simple()),
            status,
            amount,
            currency: "NGN".parse().unwrap(),
            fee: None,
            detail: None,
        };
        let now = OffsetDateTime::now_utc();
        let mut transaction = self.pool.begin().await.unwrap();
        let (options, ledger) = (options(), &self.ledger);
        payouts::apply_transfer(&mut transaction, &options, ledger, payout, &transfer, now)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    /// A webhook comes in.
    pub(crate) async fn webhook(&self, event_id: &str, kind: &str, reference: &str) {
        let new = NewWebhook {
            psp: "paystack",
            event_id,
            kind: Some(kind),
            reference: Some(reference),
            body: b"{}",
        };
        let mut conn = self.pool.acquire().await.unwrap();
        let now = OffsetDateTime::now_utc();
        assert!(webhooks::store(&mut conn, &new, now).await.unwrap());
    }

    pub(crate) async fn trace(&self, reference: &str) -> Trace {
        let traced = self.traced(reference, trace::THINGS_DEFAULT).await;
        traced.unwrap_or_else(|| panic!("nothing is known of {reference}"))
    }

    pub(crate) async fn traced(&self, reference: &str, things_max: usize) -> Option<Trace> {
        let mut conn = self.pool.acquire().await.unwrap();
        trace::trace(&mut conn, &self.ledger, reference, things_max)
            .await
            .unwrap()
    }

    /// The transactions under the program's own key that begins so.
    pub(crate) async fn transaction(&self, key: &str) -> Uuid {
        sqlx::query_scalar("SELECT id FROM transactions WHERE idempotency_key = $1")
            .bind(key)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

pub(crate) fn options() -> payouts::Options {
    payouts::Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp_name: "paystack".to_owned(),
        schedule: Schedule::STANDARD,
        timing: Timing::default(),
        host: "here".to_owned(),
    }
}

/// What happened, in order, without what waits for the bus.
pub(crate) fn whats(trace: &Trace) -> Vec<&str> {
    let whats = trace.moments.iter().map(|moment| moment.what.as_str());
    whats.filter(|what| *what != "event.waits").collect()
}

/// Whether anything is told of a thing.
pub(crate) fn tells_of(trace: &Trace, thing: &Thing) -> bool {
    trace.moments.iter().any(|moment| moment.thing == *thing)
}
