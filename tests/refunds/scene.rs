//! A merchant with payments that were paid, here and at a simulator, and a clock that the test moves.

use std::cell::Cell;
use std::time::Duration;

use aegis::config::Secret;
use aegis::engine::{Posting, post_own};
use aegis::ledger::{Currency, Ledger};
use aegis::merchant::{MerchantId, Purse, house};
use aegis::postgres::payments::{self, NewRow, Payment, PaymentStatus, Success};
use aegis::postgres::psp_references::{self, SubjectKind};
use aegis::postgres::{settlement_gate, transact};
use aegis::psp::{self, Paystack, Psp};
use aegis::refunds::{
    self, Applied, NewRefund, Options, Refund, RefundError, RefundStatus, Requested, Timing,
};
use aegis::resilience::backoff::Schedule;
use aegis::simulator::{Armed, Fault, Simulator, SimulatorOptions};
use aegis::terms::Terms;
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use time::macros::{date, datetime};
use uuid::Uuid;

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet};
use crate::common::merchant::merchant;
pub use crate::common::paystack::{KEY, adapter};

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The fee of a payment of 1,000.00 by [`terms`]: 2 %.
pub const FEE: i64 = 2_000;
/// What it is of.
pub const AMOUNT: i64 = 100_000;

pub fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

pub fn acme() -> MerchantId {
    "acme".parse().unwrap()
}

pub fn options() -> Options {
    Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp_name: "paystack".to_owned(),
        schedule: Schedule::STANDARD,
        timing: Timing::default(),
    }
}

/// 2 %; what becomes of the fee with refunds and chargebacks, a penalty of 5.00 for the latter, and
/// how far each may take the merchant below 0.
pub fn terms(refund_fee: &str, below: i64, chargeback_fee: &str, chargeback_below: i64) -> String {
    format!(
        r#"{{
            "fee": {{"basis_points": 200, "fixed": 0}},
            "settlement": {{"days": 1, "calendar": "calendar", "time_zone": "UTC"}},
            "payout": {{"minimum": 0, "schedule": "manual"}},
            "refund": {{"fee": "{refund_fee}", "below_zero_max": {below}}},
            "chargeback": {{"fee": "{chargeback_fee}", "penalty": 500,
                            "below_zero_max": {chargeback_below}}}
        }}"#
    )
}

pub struct Scene {
    pub database: TestDatabase,
    pub ledger: Ledger,
    pub simulator: Simulator,
    pub psp: Paystack,
    pub options: Options,
    terms: Terms,
    now: Cell<OffsetDateTime>,
    http: reqwest::Client,
}

impl Scene {
    /// Fees are given back with refunds and kept with chargebacks; nothing falls below 0.
    pub async fn new() -> Self {
        Self::under(&terms("returned", 0, "kept", 0)).await
    }

    pub async fn under(terms: &str) -> Self {
        let mut to = SimulatorOptions::new(Secret::new(KEY));
        to.balances = vec![(ngn(), 100_000_000)];
        to.settle_after = None;
        let simulator = Simulator::start(to).await.unwrap();
        let psp = adapter(&simulator.base_url(), PATIENCE);
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", terms).await;
        Self {
            database,
            ledger,
            simulator,
            psp,
            options: options(),
            terms: terms.parse().unwrap(),
            now: Cell::new(datetime!(2026-11-26 12:00 UTC)),
            http: reqwest::Client::new(),
        }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub fn now(&self) -> OffsetDateTime {
        self.now.get()
    }

    pub fn pass(&self, seconds: i64) {
        self.now
            .set(self.now.get() + time::Duration::seconds(seconds));
    }

    /// An adapter that waits little for an answer.
    pub fn impatient(&self) -> Paystack {
        adapter(&self.simulator.base_url(), Duration::from_secs(2))
    }

    pub fn arm(&self, fault: Fault) {
        self.simulator.arm(Armed::next(fault));
    }

    /// A payment that its customer paid, at the PSP and here.
    pub async fn paid(&self, reference: &str, amount: i64) -> Payment {
        let new = psp::NewPayment {
            reference: reference.to_owned(),
            email: "ada@example.com".to_owned(),
            amount,
            currency: ngn(),
            callback_url: None,
            metadata: None,
        };
        self.psp.initialize(&new).await.unwrap();
        self.own(&format!("/checkout/{reference}/pay"), "").await;
        let there = self.psp.verify(reference).await.unwrap().known().unwrap();
        self.paid_here(reference, amount, &there.id, there.fee)
            .await
    }

    /// The rows and entries of a payment that was paid.
    pub async fn paid_here(
        &self,
        reference: &str,
        amount: i64,
        psp_id: &str,
        psp_fee: Option<i64>,
    ) -> Payment {
        let payment = self.unpaid(reference, amount).await;
        let (id, charge) = (payment.id, self.terms.fee().charge(amount));
        let (ledger, now) = (&self.ledger, self.now());
        let success = Success {
            id,
            psp_id: psp_id.to_owned(),
            psp_fee,
            paid_at: now,
            period: date!(2026 - 11 - 26),
            matures_at: now,
        };
        let postings = vec![
            Posting::new(&format!("payment:{id}:succeeded"))
                .leg(house::psp("paystack"), ngn(), -amount)
                .leg(acme().wallet(Purse::Pending), ngn(), charge.net())
                .leg(house::fees(), ngn(), charge.fee()),
            Posting::new(&format!("payment:{id}:psp_fee"))
                .leg(house::psp_fees(), ngn(), -psp_fee.unwrap_or_default())
                .leg(house::psp("paystack"), ngn(), psp_fee.unwrap_or_default()),
        ];
        let postings: Vec<Posting> = postings.into_iter().filter(|p| !p.is_empty()).collect();
        transact(self.pool(), async |conn| {
            let (success, topic) = (success.clone(), "aegis.transactions");
            payments::succeed(conn, ledger.id, &[success], now).await?;
            let posted = post_own(conn, ledger, postings.clone(), topic).await;
            posted.unwrap().unwrap();
            Ok::<_, sqlx::Error>(())
        })
        .await
        .unwrap();
        self.payment(id).await
    }

    /// A payment that was asked for.
    pub async fn unpaid(&self, reference: &str, amount: i64) -> Payment {
        let (id, merchant) = (Uuid::now_v7(), acme());
        let charge = self.terms.fee().charge(amount);
        let new = NewRow {
            id,
            idempotency_key: reference,
            request_hash: [7; 32],
            merchant: &merchant,
            currency: ngn(),
            terms_version: 1,
            psp: "paystack",
            reference,
            email: "ada@example.com",
            callback_url: None,
            metadata: None,
            correlation_id: Some("order-17"),
            traceparent: None,
            amount,
            fee: charge.fee(),
            net: charge.net(),
            created_at: self.now(),
            next_attempt_at: self.now(),
        };
        let (ledger, kind) = (&self.ledger, SubjectKind::Payment);
        let mut conn = self.pool().acquire().await.unwrap();
        psp_references::take(&mut conn, "paystack", reference, ledger.id, kind, id)
            .await
            .unwrap();
        payments::insert(&mut conn, ledger.id, &new).await.unwrap();
        drop(conn);
        self.payment(id).await
    }

    /// All that is paid and not settled becomes available, after what is owed.
    pub async fn settle(&self) {
        let (ledger, merchant) = (&self.ledger, acme());
        transact(self.pool(), async |conn| {
            settlement_gate::take(conn, ledger.id, &merchant, ngn()).await?;
            let (id, key) = (Uuid::now_v7(), Uuid::now_v7().to_string());
            let sum: i64 = sqlx::query_scalar(
                "WITH due AS (SELECT id, unsettled FROM payments
                              WHERE paid_at IS NOT NULL AND settlement_id IS NULL FOR UPDATE),
                      done AS (UPDATE payments p SET settlement_id = $1, unsettled = 0
                               FROM due WHERE p.id = due.id)
                 SELECT coalesce(sum(unsettled), 0)::bigint FROM due",
            )
            .bind(id)
            .fetch_one(&mut *conn)
            .await?;
            let owed = read_wallet(self.pool(), ledger, "merchant:acme:owed", "NGN").await;
            let netted = (-owed.balance).clamp(0, sum.max(0));
            let posting = Posting::new(&format!("test:{key}"))
                .leg(merchant.wallet(Purse::Pending), ngn(), -sum)
                .leg(merchant.wallet(Purse::Owed), ngn(), netted)
                .leg(merchant.wallet(Purse::Available), ngn(), sum - netted);
            if !posting.is_empty() {
                let posted = post_own(conn, ledger, vec![posting], "aegis.transactions").await;
                posted.unwrap().unwrap();
            }
            Ok::<_, sqlx::Error>(())
        })
        .await
        .unwrap();
    }

    pub async fn payment(&self, id: Uuid) -> Payment {
        let mut conn = self.pool().acquire().await.unwrap();
        let found = payments::find(&mut conn, self.ledger.id, id).await;
        found.unwrap().unwrap()
    }

    pub async fn status(&self, payment: &Payment) -> PaymentStatus {
        self.payment(payment.id).await.status
    }

    pub async fn ask(&self, new: &NewRefund) -> Requested {
        let (options, ledger, now) = (&self.options, &self.ledger, self.now());
        refunds::request_now(self.pool(), options, ledger, new, now)
            .await
            .unwrap()
    }

    /// The code of a rule's no.
    pub async fn refused(&self, new: &NewRefund) -> &'static str {
        match self.ask(new).await {
            Requested::Rejected { code, .. } => code,
            other => panic!("no rule said no: {other:?}"),
        }
    }

    /// A refund that is asked for.
    pub async fn requested(&self, payment: &Payment, key: &str, amount: i64) -> Refund {
        match self.ask(&new(payment, key, Some(amount))).await {
            Requested::Now(refund) => refund,
            other => panic!("it is not new: {other:?}"),
        }
    }

    /// One that the PSP took.
    pub async fn sent(&self, payment: &Payment, key: &str, amount: i64) -> Refund {
        let refund = self.requested(payment, key, amount).await;
        let refund = self.advance(refund.id).await;
        assert_eq!(refund.status, RefundStatus::Sent);
        refund
    }

    pub async fn advance(&self, id: Uuid) -> Refund {
        self.advance_by(&self.psp, id).await
    }

    pub async fn advance_by(&self, psp: &Paystack, id: Uuid) -> Refund {
        let (options, now) = (&self.options, self.now());
        refunds::advance(self.pool(), options, psp, &self.ledger, id, now)
            .await
            .unwrap()
    }

    /// Moves the clock to the refund's next attempt, and makes it.
    pub async fn go_on(&self, refund: &Refund) -> Refund {
        let due = refund.next_attempt_at.expect("something is due");
        self.now.set(self.now.get().max(due));
        self.advance(refund.id).await
    }

    pub async fn read(&self, id: Uuid) -> Refund {
        let mut conn = self.pool().acquire().await.unwrap();
        let found = aegis::postgres::refunds::find(&mut conn, self.ledger.id, id).await;
        found.unwrap().unwrap()
    }

    /// All refunds and chargebacks of a payment, the newest first.
    pub async fn refunds(&self, payment: &Payment) -> Vec<Refund> {
        let filter = aegis::postgres::refunds::Filter {
            payment: Some(payment.id),
            limit: 100,
            ..Default::default()
        };
        let mut conn = self.pool().acquire().await.unwrap();
        aegis::postgres::refunds::list(&mut conn, self.ledger.id, &filter)
            .await
            .unwrap()
    }

    /// What a webhook says of a refund.
    pub async fn hear(
        &self,
        payment: &Payment,
        said: &psp::Refund,
    ) -> Result<Applied, RefundError> {
        let (options, ledger, now) = (&self.options, &self.ledger, self.now());
        transact(self.pool(), async |conn| {
            refunds::apply_refund(conn, options, ledger, payment.id, said, now).await
        })
        .await
    }

    /// What a webhook says of a dispute.
    pub async fn hear_dispute(
        &self,
        payment: &Payment,
        said: &psp::Dispute,
    ) -> Result<Applied, RefundError> {
        let (options, ledger, now) = (&self.options, &self.ledger, self.now());
        transact(self.pool(), async |conn| {
            refunds::apply_dispute(conn, options, ledger, payment.id, said, "webhook", now).await
        })
        .await
    }

    /// Works until nothing is due at this time.
    pub async fn work(&self) -> usize {
        let mut steps = 0;
        while refunds::work_once(self.pool(), &self.options, &self.psp, self.now())
            .await
            .unwrap()
        {
            steps += 1;
            assert!(steps < 1_000, "it never ends");
        }
        steps
    }

    /// A request to the simulator's own routes.
    pub async fn own(&self, path: &str, body: &str) -> Value {
        let url = format!("{}/simulator{path}", self.simulator.base_url());
        let answer = self
            .http
            .post(url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What the customer's bank does with a refund: `process` or `fail`.
    pub async fn at_the_psp(&self, act: &str, refund: &Refund) {
        let id = refund.psp_id.as_deref().expect("the PSP has it");
        self.own(&format!("/refunds/{id}/{act}"), "").await;
    }

    /// A refund that somebody makes at the PSP.
    pub async fn made_there(&self, payment: &Payment, amount: i64) -> psp::Refund {
        let new = psp::NewRefund {
            payment_reference: payment.reference.clone(),
            amount,
            currency: ngn(),
            customer_note: None,
            merchant_note: Some("made on the dashboard".to_owned()),
        };
        self.psp.refund(&new).await.unwrap()
    }

    /// How many refunds the PSP has of a payment.
    pub async fn there(&self, payment: &Payment) -> usize {
        let id = payment.psp_id.as_deref().unwrap();
        self.psp.refunds_of(id).await.unwrap().len()
    }

    pub async fn balance(&self, address: &str) -> i64 {
        read_wallet(self.pool(), &self.ledger, address, "NGN")
            .await
            .balance
    }

    pub async fn of_acme(&self, purse: Purse) -> i64 {
        self.balance(acme().wallet(purse).as_str()).await
    }

    /// Pending, available and owed of `acme`, and the platform's fees.
    pub async fn balances(&self) -> [i64; 4] {
        [
            self.of_acme(Purse::Pending).await,
            self.of_acme(Purse::Available).await,
            self.of_acme(Purse::Owed).await,
            self.balance("platform:fees").await,
        ]
    }

    pub async fn in_transit(&self) -> i64 {
        self.balance("refunds:in_transit").await
    }

    /// The events about something, in order, without their prefix.
    pub async fn events(&self, id: Uuid) -> Vec<String> {
        let types: Vec<String> = sqlx::query_scalar(
            "SELECT event_type FROM transaction_outbox
             WHERE topic = 'aegis.settlements' AND key = $1 ORDER BY id",
        )
        .bind(id.to_string())
        .fetch_all(self.pool())
        .await
        .unwrap();
        let short = |name: &String| name.trim_start_matches("aegis.").to_owned();
        types.iter().map(short).collect()
    }

    /// Classes of discrepancies, in order.
    pub async fn discrepancies(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT class FROM discrepancies ORDER BY id")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    /// What must hold at any time: the rows explain the wallets.
    pub async fn assert_sound(&self) {
        let (open, unsettled): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(sum(amount), 0)::bigint FROM refunds
                     WHERE status IN ('requested', 'sent', 'unknown')),
                    (SELECT coalesce(sum(unsettled), 0)::bigint FROM payments)",
        )
        .fetch_one(self.pool())
        .await
        .unwrap();
        assert_eq!(self.in_transit().await, open, "refunds:in_transit");
        assert_eq!(self.of_acme(Purse::Pending).await, unsettled, "pending");
        let wrong: Vec<Uuid> = sqlx::query_scalar(
            "SELECT p.id FROM payments p
             WHERE p.refunded <> (SELECT coalesce(sum(amount), 0) FROM refunds r
                                  WHERE r.payment_id = p.id AND r.status <> 'failed')",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert!(wrong.is_empty(), "refunded of {wrong:?}");
    }

    /// The PSP's balance and the ledger's account of it moved by the same amount, once nothing is on
    /// its way.
    pub async fn assert_same_books(&self) {
        let there = self.simulator.with_books(|books| books.balance(ngn()));
        let here = self.balance("psp:paystack").await;
        assert_eq!(there - 100_000_000, -here, "the PSP's books differ");
    }
}

/// A refund of that much; none: of all that is left.
pub fn new(payment: &Payment, key: &str, amount: Option<i64>) -> NewRefund {
    NewRefund {
        payment_id: payment.id,
        amount,
        customer_note: Some("sorry".to_owned()),
        key: key.parse().unwrap(),
        correlation_id: None,
        traceparent: None,
        requested_by: "tester".to_owned(),
    }
}

/// What Paystack's webhooks say of a refund: neither its id nor its note.
pub fn webhook(payment: &Payment, amount: i64, word: &str) -> psp::Refund {
    psp::Refund {
        id: None,
        payment_reference: Some(payment.reference.clone()),
        refund_reference: None,
        amount,
        currency: payment.currency,
        status: psp::RefundStatus::from_word(word),
        merchant_note: None,
    }
}
