//! A database with a merchant, and a PSP whose steps the test decides.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aegis::config::Secret;
use aegis::ledger::{Currency, Ledger};
use aegis::payments::webhook::{self, Received};
use aegis::payments::{Created, NewPayment, Options, create, open, sweep};
use aegis::postgres::payments::{self, Payment};
use aegis::psp::paystack;
use aegis::resilience::backoff::Schedule;
use aegis::simulator::{Armed, Call, Fault, Faults, Fees, LocalPsp};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet};
use crate::common::merchant::{TERMS, merchant};

pub const KEY: &str = "sk_test_0123456789abcdef";
pub const START: OffsetDateTime = datetime!(2026-11-24 10:00 UTC);

pub fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

pub struct Scene {
    pub database: TestDatabase,
    pub ledger: Ledger,
    pub pool: PgPool,
    pub psp: LocalPsp,
    pub options: Options,
    clock: Arc<Mutex<OffsetDateTime>>,
}

impl Scene {
    /// With the merchant `acme`, who takes NGN.
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
        let clock = Arc::new(Mutex::new(START));
        let read = Arc::clone(&clock);
        let faults = Faults::new(0, Vec::new());
        let now = move || *read.lock().unwrap();
        let psp = LocalPsp::new(Secret::new(KEY), Fees::default(), faults, now).unwrap();
        let options = options(ledger.clone());
        let pool = database.settings().posting_pool(4);
        Self {
            database,
            ledger,
            pool,
            psp,
            options,
            clock,
        }
    }

    pub fn now(&self) -> OffsetDateTime {
        *self.clock.lock().unwrap()
    }

    pub fn pass(&self, time: Duration) {
        *self.clock.lock().unwrap() += time;
    }

    pub async fn ask_for(&self, new: &NewPayment) -> Created {
        create(&self.pool, &self.options, &self.ledger, new, self.now())
            .await
            .unwrap()
    }

    /// A payment of `acme` that the PSP has not heard of, under its key as reference.
    pub async fn created(&self, key: &str, amount: i64) -> Payment {
        match self.ask_for(&wanted(key, amount)).await {
            Created::Now(payment) => payment,
            other => panic!("not made: {other:?}"),
        }
    }

    pub async fn open(&self, payment: &Payment, is_first: bool) -> Payment {
        let (pool, options) = (&self.pool, &self.options);
        let now = self.now();
        open(
            pool,
            options,
            &self.psp,
            &self.ledger,
            payment,
            is_first,
            now,
        )
        .await
        .unwrap()
    }

    pub async fn opened(&self, key: &str, amount: i64) -> Payment {
        let payment = self.created(key, amount).await;
        self.open(&payment, true).await
    }

    pub fn arm(&self, fault: Fault, call: Call) {
        self.psp.arm(Armed {
            call: Some(call),
            ..Armed::next(fault)
        });
    }

    /// The customer pays: the webhook's bytes.
    pub fn pay(&self, reference: &str) -> Vec<u8> {
        self.psp.pay(reference).unwrap();
        self.psp.take_webhooks().pop().unwrap().body
    }

    /// A genuine webhook arrives.
    pub async fn arrives(&self, body: &[u8]) -> Received {
        let signature = paystack::sign(&Secret::new(KEY), body);
        let mut conn = self.pool.acquire().await.unwrap();
        let signature = Some(signature.as_str());
        webhook::receive(&mut conn, &self.psp, body, signature, self.now())
            .await
            .unwrap()
    }

    /// One batch of webhooks.
    pub async fn work(&self) -> usize {
        webhook::work(&self.pool, &self.options, &self.psp, self.now())
            .await
            .unwrap()
    }

    /// It arrives and is handled.
    pub async fn told(&self, body: &[u8]) {
        self.arrives(body).await;
        self.work().await;
    }

    pub async fn sweep(&self) -> usize {
        sweep(&self.pool, &self.options, &self.psp, self.now())
            .await
            .unwrap()
    }

    pub async fn read(&self, payment: &Payment) -> Payment {
        let mut conn = self.pool.acquire().await.unwrap();
        let found = payments::find(&mut conn, self.ledger.id, payment.id).await;
        found.unwrap().unwrap()
    }

    pub async fn balance(&self, address: &str) -> i64 {
        read_wallet(&self.pool, &self.ledger, address, "NGN")
            .await
            .balance
    }

    /// What `acme` has pending, what the platform earned, and what the PSP holds.
    pub async fn balances(&self) -> (i64, i64, i64) {
        (
            self.balance("merchant:acme:pending").await,
            self.balance("platform:fees").await,
            self.balance("psp:paystack").await,
        )
    }

    /// The classes and details of all discrepancies.
    pub async fn discrepancies(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT class, detail FROM discrepancies ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub async fn classes(&self) -> Vec<String> {
        let found = self.discrepancies().await;
        found.into_iter().map(|(class, _)| class).collect()
    }

    /// The types of the events about payments and discrepancies, in order.
    pub async fn events(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT event_type FROM transaction_outbox
             WHERE event_type LIKE 'aegis.payment.%' OR event_type LIKE 'aegis.discrepancy.%'
             ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// How webhooks ended, in the order of their arrival.
    pub async fn fates(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT status FROM psp_webhooks ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }
}

pub fn options(ledger: Ledger) -> Options {
    Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp: "paystack".to_owned(),
        ledger,
        schedule: Schedule::STANDARD,
        lease: Duration::from_secs(60),
        ask_after: Duration::from_secs(600),
        abandon_after: Duration::from_secs(86_400),
        payouts: aegis::payouts::Options {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
            psp_name: "paystack".to_owned(),
            schedule: Schedule::STANDARD,
            timing: aegis::payouts::Timing::default(),
            host: "here".to_owned(),
        },
        refunds: aegis::refunds::Options {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
            psp_name: "paystack".to_owned(),
            schedule: Schedule::STANDARD,
            timing: aegis::refunds::Timing::default(),
        },
        batch_webhooks_max: 500,
    }
}

pub fn wanted(key: &str, amount: i64) -> NewPayment {
    NewPayment {
        key: key.parse().unwrap(),
        merchant: "acme".parse().unwrap(),
        amount,
        currency: ngn(),
        email: "ada@example.com".parse().unwrap(),
        reference: Some(key.parse().unwrap()),
        callback_url: None,
        metadata: None,
        correlation_id: Some("order-17".to_owned()),
        traceparent: None,
    }
}

/// A webhook about a payment, as Paystack would word it.
pub fn charge(id: u64, reference: &str, amount: i64, currency: &str, fees: Option<i64>) -> Vec<u8> {
    serde_json::json!({"event": "charge.success", "data": {
        "id": id, "status": "success", "reference": reference, "amount": amount,
        "currency": currency, "fees": fees, "paid_at": "2026-11-24T10:00:00.000Z",
    }})
    .to_string()
    .into_bytes()
}
