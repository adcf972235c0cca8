//! Any sequence of refunds here and there, faults, disputes and settlements sums to the cent.

use std::time::Duration;

use aegis::merchant::Purse;
use aegis::postgres::payments::{Payment, PaymentStatus};
use aegis::psp::{Dispute, DisputeStatus, Paystack, RefundStatus as Word};
use aegis::refunds::{self, Applied, Origin, RefundError, RefundStatus, Requested};
use aegis::simulator::{Armed, Call, Fault};
use proptest::prelude::*;

use crate::common::cases::cases;
use crate::scene::{Scene, acme, adapter, new, ngn, terms, webhook};

/// A step: what, of which payment, how much.
type Step = (u8, u8, u32);

const FAULTS: [Fault; 7] = [
    Fault::Lost,
    Fault::ServerError,
    Fault::Cut,
    Fault::Garbage,
    Fault::RateLimit,
    Fault::LowBalance,
    Fault::Timeout,
];

struct Walk {
    scene: Scene,
    psp: Paystack,
    payments: Vec<Payment>,
    /// Webhooks about disputes that came too early or will come again.
    words: Vec<(Payment, Dispute)>,
    asked: usize,
}

impl Walk {
    async fn new(terms: &str) -> Self {
        let scene = Scene::under(terms).await;
        let psp = adapter(&scene.simulator.base_url(), Duration::from_millis(500));
        Self {
            scene,
            psp,
            payments: Vec::new(),
            words: Vec::new(),
            asked: 0,
        }
    }

    fn of(&self, which: u8) -> Payment {
        self.payments[usize::from(which) % self.payments.len()].clone()
    }

    async fn step(&mut self, (what, which, how_much): Step) {
        if self.payments.is_empty() || what % 12 == 0 {
            let (n, amount) = (self.payments.len(), i64::from(how_much % 9_973) + 1);
            if n < 4 {
                let paid = self.scene.paid(&format!("p{n}"), amount).await;
                self.payments.push(paid);
            }
            return;
        }
        let payment = self.of(which);
        let part = i64::from(how_much) % payment.amount + 1;
        match what % 12 {
            1..=3 => self.ask(&payment, part).await,
            4 => self.scene.simulator.arm(Armed {
                call: Some(if which.is_multiple_of(2) {
                    Call::Refund
                } else {
                    Call::Refunds
                }),
                ..Armed::next(FAULTS[usize::from(which) % FAULTS.len()])
            }),
            5 | 6 => {
                self.scene.pass(i64::from(how_much % 400));
                self.work().await;
            }
            7 => self.end_one(which, how_much % 3 != 0).await,
            8 => self.make_there(&payment, part).await,
            9 => self.dispute(&payment, part, which).await,
            10 => self.scene.settle().await,
            _ => {
                self.scene
                    .hear(&payment, &webhook(&payment, part, "processed"))
                    .await
                    .unwrap();
                self.hear_all().await;
            }
        }
    }

    async fn ask(&mut self, payment: &Payment, amount: i64) {
        self.asked += 1;
        let wanted = new(payment, &format!("k{}", self.asked), Some(amount));
        match self.scene.ask(&wanted).await {
            Requested::Now(_) => {}
            Requested::Rejected { code, .. } => assert!(
                [
                    "refund_exceeds_payment",
                    "insufficient_funds",
                    "payment_disputed"
                ]
                .contains(&code),
                "{code}"
            ),
            Requested::Before(_) => panic!("the key is new"),
        }
    }

    async fn work(&self) {
        let (pool, options, now) = (self.scene.pool(), &self.scene.options, self.scene.now());
        for _ in 0..20 {
            if !refunds::work_once(pool, options, &self.psp, now)
                .await
                .unwrap()
            {
                break;
            }
        }
    }

    /// A refund that is under way at the PSP ends.
    async fn end_one(&self, which: u8, well: bool) {
        let pending: Vec<u64> = self.scene.simulator.with_books(|books| {
            let all = books.refunds().filter(|r| r.status == Word::Pending);
            all.map(|refund| refund.id).collect()
        });
        if pending.is_empty() {
            return;
        }
        let id = pending[usize::from(which) % pending.len()];
        let act = if well { "process" } else { "fail" };
        self.scene.own(&format!("/refunds/{id}/{act}"), "").await;
    }

    async fn make_there(&self, payment: &Payment, amount: i64) {
        let new = aegis::psp::NewRefund {
            payment_reference: payment.reference.clone(),
            amount,
            currency: ngn(),
            customer_note: None,
            merchant_note: Some("by hand".to_owned()),
        };
        // The PSP may say no: less is left there. What it didn't answer may be there: a list tells.
        if aegis::psp::Psp::refund(&self.psp, &new).await.is_ok() {
            self.scene
                .hear(payment, &webhook(payment, amount, "pending"))
                .await
                .unwrap();
        }
    }

    /// A dispute is opened, or one that is open ends.
    async fn dispute(&mut self, payment: &Payment, amount: i64, which: u8) {
        let (reference, left) = (&payment.reference, self.left_there(payment));
        let open: Option<(u64, i64)> = self.scene.simulator.with_books(|books| {
            let mut of = books
                .disputes()
                .filter(|d| d.payment_reference == *reference);
            let open = of.find(|d| d.status != DisputeStatus::Resolved);
            open.map(|dispute| (dispute.id, dispute.amount))
        });
        let (id, of, resolution) = match open {
            None if amount <= left => {
                let body = format!(r#"{{"reference": "{reference}", "amount": {amount}}}"#);
                let answer = self.scene.own("/disputes", &body).await;
                (answer["id"].as_u64().unwrap(), amount, None)
            }
            None => return,
            Some((id, of)) if which.is_multiple_of(2) && of <= left => {
                self.scene.own(&format!("/disputes/{id}/accept"), "").await;
                (id, of, Some("merchant-accepted"))
            }
            Some((id, of)) => {
                self.scene.own(&format!("/disputes/{id}/decline"), "").await;
                (id, of, Some("declined"))
            }
        };
        let word = Dispute {
            id: id.to_string(),
            payment_reference: reference.clone(),
            status: match resolution {
                Some(_) => DisputeStatus::Resolved,
                None => DisputeStatus::Pending,
            },
            resolution: resolution.map(str::to_owned),
            refund_amount: Some(of),
            payment_amount: payment.amount,
            currency: payment.currency,
            category: None,
        };
        // They come in another order than they were sent in.
        self.words.insert(
            usize::from(which) % (self.words.len() + 1),
            (payment.clone(), word),
        );
    }

    fn left_there(&self, payment: &Payment) -> i64 {
        self.scene.simulator.with_books(|books| {
            let mut all = books.payments();
            let there = all.find(|p| p.reference == payment.reference).unwrap();
            there.amount - there.given_back
        })
    }

    /// All words so far, once more.
    async fn hear_all(&self) {
        for (payment, word) in &self.words {
            match self.scene.hear_dispute(payment, word).await {
                Ok(Applied::Done | Applied::Ignored) | Err(RefundError::UnderWay(_)) => {}
                other => panic!("{word:?}: {other:?}"),
            }
        }
    }

    /// Nothing goes wrong any more, and all that is under way ends.
    async fn come_to_rest(&mut self) {
        let url = format!("{}/simulator/faults", self.scene.simulator.base_url());
        let disarmed = reqwest::Client::new().delete(url).send().await.unwrap();
        assert!(disarmed.status().is_success());
        for round in 0..40 {
            self.scene.pass(400);
            self.work().await;
            // What was due at once, by the time that the call took.
            self.scene.pass(1);
            self.work().await;
            self.end_one(0, true).await;
            self.hear_all().await;
            for payment in self.payments.clone() {
                self.scene
                    .hear(&payment, &webhook(&payment, 1, "processed"))
                    .await
                    .unwrap();
            }
            let open: i64 = sqlx::query_scalar(
                "SELECT (SELECT count(*) FROM refunds WHERE next_attempt_at IS NOT NULL)",
            )
            .fetch_one(self.scene.pool())
            .await
            .unwrap();
            let pending = self.scene.simulator.with_books(|books| {
                books
                    .refunds()
                    .filter(|r| r.status == Word::Pending)
                    .count()
            });
            if open == 0 && pending == 0 && round > 2 {
                break;
            }
            assert!(round < 39, "{}", self.why().await);
        }
        self.work().await;
        self.hear_all().await;
    }

    /// What is under way, for whoever reads the failure.
    async fn why(&self) -> String {
        let open: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', r.origin, r.status, r.amount, r.psp_id, r.psp_status,
                              r.last_error, r.next_attempt_at, 'of', p.reference, p.amount,
                              p.refunded, p.status)
             FROM refunds r JOIN payments p ON p.id = r.payment_id",
        )
        .fetch_all(self.scene.pool())
        .await
        .unwrap();
        let there = self.scene.simulator.with_books(|books| {
            let all = books.refunds().map(|r| {
                format!(
                    "{} {} {} of {}",
                    r.id, r.status, r.amount, r.payment_reference
                )
            });
            all.collect::<Vec<String>>()
        });
        format!(
            "under way at {}: {open:#?}\nthere: {there:#?}",
            self.scene.now()
        )
    }

    async fn check_the_end(&self) {
        let (mut fees, mut net) = (0, 0);
        let mut taken = 0;
        for payment in &self.payments {
            let payment = self.scene.payment(payment.id).await;
            let all = self.scene.refunds(&payment).await;
            let done = || all.iter().filter(|r| r.status == RefundStatus::Succeeded);
            assert!(all.iter().all(|refund| !refund.status.is_open()));
            let back: i64 = done().map(|refund| refund.amount).sum();
            assert_eq!(payment.refunded, back);
            assert!(back <= payment.amount, "more than was paid went back");
            assert_eq!(
                payment.amount - back,
                self.left_there(&payment),
                "as at the PSP"
            );
            if back == payment.amount {
                let share: i64 = done().map(|refund| refund.borne.fee_share).sum();
                assert_eq!(share, payment.fee, "the shares sum to the fee");
                assert!(
                    [PaymentStatus::Refunded, PaymentStatus::Disputed].contains(&payment.status)
                );
            }
            fees += payment.fee;
            net += payment.net;
            for refund in done() {
                fees -= refund.borne.platform();
                taken += refund.borne.merchant();
                let parts = refund.borne.merchant() + refund.borne.platform();
                assert_eq!(parts, refund.amount);
                assert_eq!(
                    refund.borne.penalty > 0,
                    refund.origin == Origin::Chargeback
                );
            }
        }
        let scene = &self.scene;
        assert_eq!(scene.in_transit().await, 0);
        assert_eq!(
            scene.balance("platform:fees").await,
            fees,
            "the platform's part"
        );
        let mut merchant = 0;
        for purse in Purse::ALL {
            merchant += scene.balance(acme().wallet(purse).as_str()).await;
        }
        assert_eq!(merchant, net - taken, "the merchant's part");
        assert!(scene.of_acme(Purse::Owed).await <= 0);
        assert_eq!(scene.discrepancies().await, Vec::<String>::new());
        scene.assert_sound().await;
        scene.assert_same_books().await;
    }
}

fn walk(terms: &str, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut walk = Walk::new(terms).await;
        for step in steps {
            walk.step(*step).await;
            walk.scene.assert_sound().await;
        }
        walk.come_to_rest().await;
        walk.check_the_end().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(4), max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn all_sums_to_the_cent_whatever_happens(
        refund_kept in any::<bool>(),
        chargeback_kept in any::<bool>(),
        below in 0..2_000_i64,
        chargeback_below in 0..2_000_i64,
        steps in proptest::collection::vec(any::<Step>(), 20..60),
    ) {
        let fate = |kept| if kept { "kept" } else { "returned" };
        let terms = terms(fate(refund_kept), below, fate(chargeback_kept), chargeback_below);
        walk(&terms, &steps);
    }
}
