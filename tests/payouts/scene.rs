//! A merchant with funds, a simulator that knows its recipient, and a clock that the test moves.

use std::cell::Cell;
use std::time::Duration;

use aegis::config::Secret;
use aegis::engine::Engine;
use aegis::ledger::{Currency, Ledger};
use aegis::payouts::{
    self, NewPayout, Options, Payout, PayoutError, PayoutStatus, Requested, Timing,
};
use aegis::postgres::transact;
use aegis::psp::{Paystack, Psp};
use aegis::resilience::backoff::Schedule;
use aegis::simulator::{Armed, Fault, Simulator, SimulatorOptions};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, post, read_wallet, transfer, verdict};
use crate::common::merchant::merchant;
use crate::common::paystack::account_of;
pub use crate::common::paystack::{KEY, adapter};

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What the merchant has to begin with.
pub const FUNDS: i64 = 1_000_000;
/// What the PSP takes for a transfer of up to 5,000.00.
pub const PSP_FEE: i64 = 1_000;

pub fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

pub fn options() -> Options {
    Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp_name: "paystack".to_owned(),
        schedule: Schedule::STANDARD,
        timing: Timing::default(),
        host: "here".to_owned(),
    }
}

pub fn terms(recipient: &str) -> String {
    format!(
        r#"{{
            "fee": {{"basis_points": 150, "fixed": 10000, "cap": 200000}},
            "settlement": {{"days": 1, "calendar": "calendar", "time_zone": "UTC"}},
            "payout": {{"minimum": 5000, "schedule": "manual", "recipient": "{recipient}"}}
        }}"#
    )
}

pub struct Scene {
    pub database: TestDatabase,
    pub ledger: Ledger,
    pub simulator: Simulator,
    pub psp: Paystack,
    pub options: Options,
    pub recipient: String,
    now: Cell<OffsetDateTime>,
    http: reqwest::Client,
}

impl Scene {
    /// The merchant `acme` with [`FUNDS`] NGN.
    pub async fn new() -> Self {
        Self::telling(None).await
    }

    /// The same, with webhooks going there.
    pub async fn telling(webhook_url: Option<String>) -> Self {
        Self::with(webhook_url, Duration::from_millis(50)).await
    }

    /// Without webhooks, with slow answers that leave time for something else meanwhile.
    pub async fn slow() -> Self {
        Self::with(None, Duration::from_secs(3)).await
    }

    async fn with(webhook_url: Option<String>, late: Duration) -> Self {
        let mut to = SimulatorOptions::new(Secret::new(KEY));
        to.balances = vec![(ngn(), 100_000_000)];
        to.settle_after = None;
        to.webhook_url = webhook_url;
        to.webhook_retries = vec![Duration::from_millis(5); 20];
        to.late = late;
        let simulator = Simulator::start(to).await.unwrap();
        let psp = adapter(&simulator.base_url(), PATIENCE);
        let recipient = account_of("Acme");
        let recipient = psp.create_recipient(&recipient).await.unwrap().code;
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", &terms(&recipient)).await;
        let scene = Self {
            database,
            ledger,
            simulator,
            psp,
            options: options(),
            recipient,
            now: Cell::new(datetime!(2026-11-26 12:00 UTC)),
            http: reqwest::Client::new(),
        };
        scene.fund("acme", FUNDS).await;
        scene
    }

    /// More for `acme`.
    pub async fn fund_more(&self, amount: i64) {
        self.fund("acme", amount).await;
    }

    /// Money for a merchant to pay out.
    pub async fn fund(&self, merchant: &str, amount: i64) {
        let engine = Engine::new(&self.database.settings(), "aegis.transactions");
        let to = format!("merchant:{merchant}:available");
        let key = Uuid::now_v7().to_string();
        let funded = transfer(&key, "psp:paystack", &to, amount);
        assert_eq!(
            verdict(&post(&engine, &self.ledger, funded).await),
            "posted"
        );
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub fn now(&self) -> OffsetDateTime {
        self.now.get()
    }

    /// Time goes on.
    pub fn pass(&self, seconds: i64) {
        self.now
            .set(self.now.get() + time::Duration::seconds(seconds));
    }

    pub fn set_now(&self, now: OffsetDateTime) {
        self.now.set(now);
    }

    /// An adapter that waits little for an answer.
    pub fn impatient(&self) -> Paystack {
        adapter(&self.simulator.base_url(), Duration::from_secs(2))
    }

    pub fn arm(&self, fault: Fault) {
        self.simulator.arm(Armed::next(fault));
    }

    pub async fn ask(&self, new: &NewPayout) -> Result<Requested, PayoutError> {
        let (options, ledger, now) = (&self.options, &self.ledger, self.now());
        transact(self.pool(), async |conn| {
            payouts::request(conn, options, ledger, new, now).await
        })
        .await
    }

    /// A payout that is asked for.
    pub async fn requested(&self, key: &str, amount: i64) -> Payout {
        match self.ask(&new(key, amount)).await.unwrap() {
            Requested::Now(payout) => payout,
            other => panic!("it is not new: {other:?}"),
        }
    }

    /// One that the PSP took.
    pub async fn sent(&self, key: &str, amount: i64) -> Payout {
        let payout = self.requested(key, amount).await;
        let payout = self.advance(payout.id).await;
        assert_eq!(payout.status, PayoutStatus::Sent);
        payout
    }

    pub async fn advance(&self, id: Uuid) -> Payout {
        self.advance_by(&self.psp, id).await
    }

    pub async fn advance_by(&self, psp: &Paystack, id: Uuid) -> Payout {
        let (options, now) = (&self.options, self.now());
        payouts::advance(self.pool(), options, psp, &self.ledger, id, now)
            .await
            .unwrap()
    }

    /// Moves the clock to the payout's next attempt, and makes it.
    pub async fn go_on(&self, payout: &Payout) -> Payout {
        self.wait_for(payout);
        self.advance(payout.id).await
    }

    /// Moves the clock to the payout's next attempt.
    pub fn wait_for(&self, payout: &Payout) {
        let due = payout.next_attempt_at.expect("something is due");
        self.now.set(self.now.get().max(due));
    }

    pub async fn requery(&self, id: Uuid) -> Payout {
        let (options, now) = (&self.options, self.now());
        payouts::requery(self.pool(), options, &self.psp, &self.ledger, id, now)
            .await
            .unwrap()
    }

    pub async fn read(&self, id: Uuid) -> Payout {
        let mut conn = self.pool().acquire().await.unwrap();
        let found = aegis::postgres::payouts::find(&mut conn, self.ledger.id, id).await;
        found.unwrap().unwrap()
    }

    /// What the recipient's bank does: `succeed`, `fail` or `reverse`.
    pub async fn at_the_psp(&self, act: &str, payout: &Payout) {
        self.at_the_psp_by(act, &payout.reference).await;
    }

    /// The same, by the reference alone.
    pub async fn at_the_psp_by(&self, act: &str, reference: &str) {
        let base = self.simulator.base_url();
        let url = format!("{base}/simulator/transfers/{reference}/{act}");
        let answer = self.http.post(url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{act}");
    }

    /// How many transfers the PSP has.
    pub fn transfers(&self) -> usize {
        self.simulator.with_books(|books| books.transfers().count())
    }

    pub async fn balance(&self, address: &str) -> i64 {
        read_wallet(self.pool(), &self.ledger, address, "NGN")
            .await
            .balance
    }

    pub async fn available(&self) -> i64 {
        self.balance("merchant:acme:available").await
    }

    pub async fn in_transit(&self) -> i64 {
        self.balance("payouts:in_transit").await
    }

    /// The kinds and outcomes of a payout's attempts, in order.
    pub async fn attempts(&self, id: Uuid) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT kind || ' ' || coalesce(outcome, '-') FROM payout_attempts
             WHERE payout_id = $1 ORDER BY number",
        )
        .bind(id)
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// The events of a payout, in order, without their prefix.
    pub async fn events(&self, id: Uuid) -> Vec<String> {
        let types: Vec<String> = sqlx::query_scalar(
            "SELECT event_type FROM transaction_outbox
             WHERE topic = 'aegis.settlements' AND key = $1 ORDER BY id",
        )
        .bind(id.to_string())
        .fetch_all(self.pool())
        .await
        .unwrap();
        let short = |name: &String| name.trim_start_matches("aegis.payout.").to_owned();
        types.iter().map(short).collect()
    }

    /// Classes of discrepancies, in order.
    pub async fn discrepancies(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT class FROM discrepancies ORDER BY id")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    /// Money in transit is what the open payouts are about.
    pub async fn assert_transit(&self) {
        let open: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(amount), 0)::bigint FROM payouts
             WHERE status IN ('requested', 'sent', 'unknown')",
        )
        .fetch_one(self.pool())
        .await
        .unwrap();
        assert_eq!(self.in_transit().await, open);
    }

    /// The PSP's books and the ledger's account of them moved by the same amount.
    pub async fn assert_same_books(&self) {
        let there = self.simulator.with_books(|books| books.balance(ngn()));
        let here = self.balance("psp:paystack").await;
        assert_eq!(there - 100_000_000, -here - FUNDS, "the PSP's books differ");
    }
}

/// A payout to `acme`.
pub fn new(key: &str, amount: i64) -> NewPayout {
    NewPayout {
        merchant: "acme".parse().unwrap(),
        currency: ngn(),
        amount,
        label: Some("November".to_owned()),
        key: key.parse().unwrap(),
        run: None,
        correlation_id: Some("order-17".to_owned()),
        traceparent: None,
        requested_by: "tester".to_owned(),
    }
}
