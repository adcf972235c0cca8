//! Merchants with random terms, a PSP that fails at random, and the steps that aegisd's workers take,
//! on a clock of the test's.

use std::time::Duration;

use aegis::config::Secret;
use aegis::ledger::{Currency, Ledger};
use aegis::merchant::MerchantId;
use aegis::payments::{self, Created, NewPayment, Options, webhook};
use aegis::payouts;
use aegis::psp::{Destination, NewRecipient, Psp as _};
use aegis::refunds;
use aegis::resilience::backoff::Schedule;
use aegis::simulator::{Faults, Fees, LocalPsp, SignedWebhook};
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use sqlx::PgPool;
use time::macros::datetime;

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
                4 => {}
                _ => post.push(webhook),
            }
        }
        self.rng.shuffle(&mut post);
        let post: Vec<(SignedWebhook, bool)> = post
            .into_iter()
            .map(|webhook| (webhook, self.rng.u8(..50) == 0))
            .collect();
        let received = stream::iter(&post).map(|(webhook, forged)| self.receive(webhook, *forged));
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

    /// One arrives, or a forged one in its place.
    async fn receive(&self, webhook: &SignedWebhook, forged: bool) {
        let signature = if forged { "00" } else { &webhook.signature };
        let mut conn = self.pool.acquire().await.unwrap();
        let (body, now) = (&webhook.body, self.clock.now());
        let received = webhook::receive(&mut conn, &self.psp, body, Some(signature), now).await;
        let is_unauthentic = matches!(received, Ok(webhook::Received::Unauthentic(_)));
        assert_eq!(is_unauthentic, forged, "{received:?}");
    }

    /// Time passes, and what is due is seen to.
    pub(crate) async fn wait(&mut self, time: Duration) {
        self.clock.forward(time);
        loop {
            let (pool, now) = (&self.pool, self.clock.now());
            let swept = payments::sweep(pool, &self.options, &self.psp, now).await;
            if swept.unwrap() == 0 {
                break;
            }
        }
    }
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
