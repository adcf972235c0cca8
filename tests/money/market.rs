//! Merchants with random terms, a PSP that fails at random, and the steps that aegisd's workers take,
//! on a clock of the test's.

use std::time::Duration;

use aegis::config::Secret;
use aegis::ledger::{Currency, Ledger};
use aegis::merchant::MerchantId;
use aegis::payments::{self, Created, NewPayment, Options, webhook};
use aegis::payouts;
use aegis::psp::{self, Destination, NewRecipient, Psp as _, RefundStatus, TransferStatus};
use aegis::refunds;
use aegis::resilience::backoff::Schedule;
use aegis::settlement;
use aegis::simulator::{Faults, Fees, LocalPsp, Resolution, SignedWebhook};
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use sqlx::PgPool;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;
use crate::common::TestDatabase;
use crate::common::ledger::main_ledger;
use crate::common::merchant::merchant;
use crate::terms::{Fee, Terms};

const CURRENCIES: [&str; 4] = ["NGN", "GHS", "KES", "ZAR"];
const MERCHANTS: usize = 40;
/// Payments that are asked for at the same time.
const CONNECTIONS: usize = 8;

/// What goes wrong at the PSP. What is not here happens to webhooks, which the test carries itself.
const FAULTS: [&str; 11] = [
    "timeout=2%",
    "lost=1%",
    "server-error=2%",
    "cut=1%",
    "garbage=1%",
    "rate-limit=1%",
    "wrong-amount=1%",
    "failed=4%",
    "reversed=3%",
    "early=3%",
    "low-balance=1%",
];

pub(crate) struct Shop {
    pub id: MerchantId,
    pub currency: Currency,
    pub fee: Fee,
}

/// A payment that was asked for.
pub(crate) struct Order {
    pub reference: String,
    pub shop: usize,
    pub amount: i64,
}

pub(crate) struct Market {
    pub database: TestDatabase,
    pub pool: PgPool,
    pub ledger: Ledger,
    pub psp: LocalPsp,
    pub clock: Clock,
    pub options: Options,
    pub shops: Vec<Shop>,
    pub orders: Vec<Order>,
    pub rng: Rng,
    /// Webhooks on their way.
    post: Vec<SignedWebhook>,
    /// Refunds and payouts that were asked for.
    asked: u64,
}

impl Market {
    pub(crate) async fn open(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let database = TestDatabase::create().await;
        let pool = database.settings().posting_pool(10);
        let ledger = main_ledger(&pool).await;
        // A Saturday, so that business days matter.
        let clock = Clock::at(datetime!(2026-02-28 06:00 UTC));
        let rates = FAULTS.iter().map(|rate| rate.parse().unwrap()).collect();
        let ticking = clock.clone();
        let psp = LocalPsp::new(
            Secret::new("sk_test_money"),
            Fees::Paystack,
            Faults::new(seed, rates),
            move || ticking.now(),
        );
        let options = Options {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
            psp: "paystack".to_owned(),
            ledger: ledger.clone(),
            schedule: Schedule::STANDARD,
            lease: Duration::from_secs(30),
            ask_after: Duration::from_secs(60),
            abandon_after: Duration::from_secs(24 * 3_600),
            payouts: payout_options(),
            refunds: refund_options(),
            batch_webhooks_max: 500,
        };
        let mut market = Self {
            database,
            pool,
            ledger,
            psp: psp.unwrap(),
            clock,
            options,
            shops: Vec::new(),
            orders: Vec::new(),
            rng: rng.fork(),
            post: Vec::new(),
            asked: 0,
        };
        for number in 0..MERCHANTS {
            let shop = market.shop(number, &mut rng).await;
            market.shops.push(shop);
        }
        market
    }

    async fn shop(&self, number: usize, rng: &mut Rng) -> Shop {
        let (id, code) = (
            format!("shop-{number}"),
            CURRENCIES[number % CURRENCIES.len()],
        );
        let currency = Currency::from_code(code).unwrap();
        let terms = Terms::random(rng);
        let recipient = NewRecipient {
            name: id.clone(),
            destination: Destination::Account {
                kind: "nuban".to_owned(),
                account_number: format!("{number:010}"),
                bank_code: "058".to_owned(),
            },
            currency,
        };
        let code = loop {
            // The PSP fails in this, too.
            if let Ok(made) = self.psp.create_recipient(&recipient).await {
                break made.code;
            }
        };
        let text = terms.paid_to(&code);
        merchant(&self.pool, &self.ledger, &id, currency.code(), &text).await;
        Shop {
            id: id.parse().unwrap(),
            currency,
            fee: terms.fee,
        }
    }

    /// An amount: most are middling, some are a few coins, a few are very large.
    fn amount(&mut self) -> i64 {
        match self.rng.u8(..40) {
            0..=3 => self.rng.i64(1..=300),
            4 => self.rng.i64(1_000_000_000..=2_000_000_000_000),
            _ => self.rng.i64(301..=5_000_000),
        }
    }

    /// Merchants ask for so many payments; the PSP opens them, as far as it answers.
    pub(crate) async fn ask_for(&mut self, count: usize) {
        let begin = self.orders.len();
        for number in begin..begin + count {
            let order = Order {
                reference: format!("order-{number}"),
                shop: self.rng.usize(..self.shops.len()),
                amount: self.amount(),
            };
            self.orders.push(order);
        }
        let asked = stream::iter(&self.orders[begin..]).map(|order| self.ask(order));
        asked
            .buffer_unordered(CONNECTIONS)
            .collect::<Vec<()>>()
            .await;
    }

    async fn ask(&self, order: &Order) {
        let shop = &self.shops[order.shop];
        let new = NewPayment {
            key: order.reference.parse().unwrap(),
            merchant: shop.id.clone(),
            amount: order.amount,
            currency: shop.currency,
            email: "customer@example.com".parse().unwrap(),
            reference: Some(order.reference.parse().unwrap()),
            callback_url: None,
            metadata: None,
            correlation_id: None,
            traceparent: None,
        };
        let (pool, options, ledger) = (&self.pool, &self.options, &self.ledger);
        let now = self.clock.now();
        let made = payments::create(pool, options, ledger, &new, now).await;
        let Created::Now(payment) = made.unwrap() else {
            panic!("{} is not new", order.reference);
        };
        let opened = payments::open(pool, options, &self.psp, ledger, &payment, true, now);
        opened.await.unwrap();
    }

    /// Customers pay what they find at the PSP, in an order of their own; a few go away.
    pub(crate) fn customers_pay(&mut self, from: usize) {
        let mut places: Vec<usize> = (from..self.orders.len()).collect();
        self.rng.shuffle(&mut places);
        for place in places {
            if self.rng.u8(..50) > 0 {
                // Not opened yet, or paid as it was opened.
                drop(self.psp.pay(&self.orders[place].reference));
            }
        }
    }

    /// Webhooks arrive in any order, some twice, some much later, some never; forged ones among
    /// them.
    pub(crate) async fn carry_webhooks(&mut self, is_the_end: bool) {
        let mut post = std::mem::take(&mut self.post);
        for webhook in self.psp.take_webhooks() {
            match self.rng.u8(..20) {
                0..=2 => post.extend([webhook.clone(), webhook]),
                3 if !is_the_end => self.post.push(webhook),
                // The PSP is asked in the end.
                4 if is_asked_about(&webhook) => {}
                _ => post.push(webhook),
            }
        }
        self.rng.shuffle(&mut post);
        let post: Vec<(SignedWebhook, bool)> = post
            .into_iter()
            .map(|webhook| (webhook, self.rng.u8(..50) == 0))
            .collect();
        let post = post.iter().flat_map(|(webhook, forged)| {
            let forged = forged.then_some((webhook, true));
            forged.into_iter().chain([(webhook, false)])
        });
        let received = stream::iter(post).map(|(webhook, forged)| self.receive(webhook, forged));
        received
            .buffer_unordered(CONNECTIONS)
            .collect::<Vec<()>>()
            .await;
        loop {
            let (pool, now) = (&self.pool, self.clock.now());
            let handled = webhook::work(pool, &self.options, &self.psp, now).await;
            if handled.unwrap() == 0 {
                break;
            }
        }
    }

    /// One arrives, or a forged one that looks like it.
    async fn receive(&self, webhook: &SignedWebhook, forged: bool) {
        let signature = if forged { "00" } else { &webhook.signature };
        let mut conn = self.pool.acquire().await.unwrap();
        let (body, now) = (&webhook.body, self.clock.now());
        let received = webhook::receive(&mut conn, &self.psp, body, Some(signature), now).await;
        let is_unauthentic = matches!(received, Ok(webhook::Received::Unauthentic(_)));
        assert_eq!(is_unauthentic, forged, "{received:?}");
    }

    /// Time passes, slowly at first, and what is due is seen to.
    pub(crate) async fn wait(&mut self, time: Duration) {
        let mut left = time;
        for seconds in [1, 2, 4, 8, 16, 30, 60, 120, 300, 300, 600] {
            let step = Duration::from_secs(seconds).min(left);
            left -= step;
            if !step.is_zero() {
                self.tick(step).await;
            }
        }
        self.tick(left).await;
    }

    async fn tick(&self, time: Duration) {
        self.clock.forward(time);
        let (pool, psp, now) = (&self.pool, &self.psp, self.clock.now());
        while payments::sweep(pool, &self.options, psp, now)
            .await
            .unwrap()
            > 0
        {}
        while refunds::work_once(pool, &self.options.refunds, psp, now)
            .await
            .unwrap()
        {}
        loop {
            let due: Vec<Uuid> =
                sqlx::query_scalar("SELECT id FROM payouts WHERE next_attempt_at <= $1")
                    .bind(now)
                    .fetch_all(pool)
                    .await
                    .unwrap();
            if due.is_empty() {
                break;
            }
            for id in due {
                let options = &self.options.payouts;
                let advanced = payouts::advance(pool, options, psp, &self.ledger, id, now);
                advanced.await.unwrap();
            }
        }
    }

    /// Some of what was paid is given back: by merchants, at the PSP itself, by customers' banks.
    pub(crate) async fn give_back(&mut self, count: usize) {
        for _ in 0..count {
            let place = self.rng.usize(..self.orders.len());
            let reference = self.orders[place].reference.clone();
            let left = self.psp.with_books(|books| {
                let payment = books.payment(&reference).ok()?;
                let in_full = payment.amount == payment.requested_amount;
                let is_paid = payment.paid_at.is_some() && in_full;
                is_paid.then(|| payment.amount - payment.given_back)
            });
            let Some(left) = left.filter(|left| *left > 0) else {
                continue;
            };
            // What was paid and given back before anybody here heard of either is a discrepancy.
            if !self.is_credited(&reference).await {
                continue;
            }
            let amount = match self.rng.bool() {
                true => left,
                false => self.rng.i64(1..=left),
            };
            match self.rng.u8(..10) {
                0..=6 => self.refund(&reference, amount).await,
                7 => self.refund_at_the_psp(&reference, amount),
                _ => self.dispute(&reference, amount),
            }
        }
    }

    async fn is_credited(&self, reference: &str) -> bool {
        sqlx::query_scalar("SELECT paid_at IS NOT NULL FROM payments WHERE reference = $1")
            .bind(reference)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// A rule may say no: the merchant has too little, a dispute is open.
    async fn refund(&mut self, reference: &str, amount: i64) {
        self.asked += 1;
        let id: Uuid = sqlx::query_scalar("SELECT id FROM payments WHERE reference = $1")
            .bind(reference)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let new = refunds::NewRefund {
            payment_id: id,
            amount: Some(amount),
            customer_note: None,
            key: format!("refund-{}", self.asked).parse().unwrap(),
            correlation_id: None,
            traceparent: None,
            requested_by: "test".to_owned(),
        };
        let (options, now) = (&self.options.refunds, self.clock.now());
        let asked = refunds::request_now(&self.pool, options, &self.ledger, &new, now).await;
        asked.unwrap();
    }

    fn refund_at_the_psp(&self, reference: &str, amount: i64) {
        self.psp.with_books(|books| {
            let currency = books.payment(reference).unwrap().currency;
            let new = psp::NewRefund {
                payment_reference: reference.to_owned(),
                amount,
                currency,
                customer_note: None,
                merchant_note: None,
            };
            // Its balance may be too low.
            drop(books.refund(&new, self.clock.now()).map(drop));
        });
    }

    fn dispute(&mut self, reference: &str, amount: i64) {
        let resolution = match self.rng.bool() {
            true => Resolution::MerchantAccepted,
            false => Resolution::Declined,
        };
        let now = self.clock.now();
        self.psp.with_books(|books| {
            let dispute = books.open_dispute(reference, Some(amount), now);
            let id = dispute.unwrap().id;
            books.resolve_dispute(id, resolution, now).unwrap();
        });
    }

    /// What is under way at the PSP ends, well or not.
    pub(crate) fn end_what_is_under_way(&mut self) {
        let transfers: Vec<String> = self.psp.with_books(|books| {
            let pending = books
                .transfers()
                .filter(|transfer| transfer.status == TransferStatus::Pending);
            let mut pending: Vec<String> = pending.map(|t| t.reference.clone()).collect();
            pending.sort();
            pending
        });
        for reference in transfers {
            self.psp.settle_transfer(&reference).unwrap();
        }
        let refunds: Vec<u64> = self.psp.with_books(|books| {
            let pending = books
                .refunds()
                .filter(|refund| refund.status == RefundStatus::Pending);
            pending.map(|refund| refund.id).collect()
        });
        for id in refunds {
            let arrives = self.rng.u8(..10) > 0;
            let now = self.clock.now();
            self.psp
                .with_books(|books| books.settle_refund(id, arrives, now).unwrap());
        }
    }

    /// Settles what has matured.
    pub(crate) async fn settle(&self) {
        let options = settlement::Options {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
        };
        let scope = settlement::Scope {
            merchant: None,
            at: self.clock.now(),
            by: "test".to_owned(),
        };
        let (ledger, stop) = (&self.ledger, CancellationToken::new());
        let run = settlement::run(&self.pool, &options, ledger, &scope, &stop, |_| {});
        let report = run.await.unwrap();
        assert!(report.failed.is_empty(), "{:?}", report.failed);
    }

    /// Merchants are paid out what they have, or a part of it.
    pub(crate) async fn pay_out(&mut self) {
        for shop in 0..self.shops.len() {
            let shop = &self.shops[shop];
            let (id, currency) = (shop.id.clone(), shop.currency);
            let available = self
                .balance(&format!("merchant:{id}:available"), currency)
                .await;
            if available <= 0 {
                continue;
            }
            self.asked += 1;
            let amount = match self.rng.bool() {
                true => available,
                false => self.rng.i64(1..=available),
            };
            let new = payouts::NewPayout {
                merchant: id,
                currency,
                amount,
                label: None,
                key: format!("payout-{}", self.asked).parse().unwrap(),
                run: None,
                correlation_id: None,
                traceparent: None,
                requested_by: "test".to_owned(),
            };
            let (options, now) = (&self.options.payouts, self.clock.now());
            // Below the minimum it is refused.
            let asked = payouts::request_now(&self.pool, options, &self.ledger, &new, now).await;
            asked.unwrap();
        }
    }

    pub(crate) async fn balance(&self, address: &str, currency: Currency) -> i64 {
        sqlx::query_scalar("SELECT balance FROM wallets WHERE address = $1 AND currency = $2")
            .bind(address)
            .bind(currency.code())
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// What goes back at the PSP without anybody here asking for it, and a transfer that comes back once
/// it had arrived, is heard of by webhook, or found by reconciliation.
fn is_asked_about(webhook: &SignedWebhook) -> bool {
    let body = String::from_utf8_lossy(&webhook.body);
    ["charge.success", "transfer.success", "transfer.failed"]
        .iter()
        .any(|kind| body.contains(&format!("\"{kind}\"")))
}

fn payout_options() -> payouts::Options {
    payouts::Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp_name: "paystack".to_owned(),
        schedule: Schedule::STANDARD,
        timing: payouts::Timing::default(),
        host: "here".to_owned(),
    }
}

fn refund_options() -> refunds::Options {
    refunds::Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp_name: "paystack".to_owned(),
        schedule: Schedule::STANDARD,
        timing: refunds::Timing::default(),
    }
}
