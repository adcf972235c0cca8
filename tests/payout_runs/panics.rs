//! A run whose work panics is gone on with by the same process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aegis::config::{Config, Secret};
use aegis::payout_runs::{Desk, Pace, Worker};
use aegis::payouts;
use aegis::psp::{
    Checkout, Dispute, Lookup, NewPayment, NewRecipient, NewRefund, NewTransfer, Payment, Paystack,
    PaystackOptions, Psp, PspError, Recipient, Refund, Transfer, WebhookError, WebhookEvent,
};
use tokio_util::sync::CancellationToken;

use crate::scene::{KEY, PATIENCE, Scene, start};

/// Paystack, whose first transfer is met by a defect of the program.
struct Flawed {
    paystack: Paystack,
    is_mended: Arc<AtomicBool>,
}

impl Psp for Flawed {
    fn name(&self) -> &'static str {
        self.paystack.name()
    }

    async fn initialize(&self, payment: &NewPayment) -> Result<Checkout, PspError> {
        self.paystack.initialize(payment).await
    }

    async fn verify(&self, reference: &str) -> Result<Lookup<Payment>, PspError> {
        self.paystack.verify(reference).await
    }

    async fn create_recipient(&self, recipient: &NewRecipient) -> Result<Recipient, PspError> {
        self.paystack.create_recipient(recipient).await
    }

    async fn transfer(&self, transfer: &NewTransfer) -> Result<Transfer, PspError> {
        let is_mended = self.is_mended.swap(true, Ordering::SeqCst);
        assert!(is_mended, "a defect");
        self.paystack.transfer(transfer).await
    }

    async fn verify_transfer(&self, reference: &str) -> Result<Lookup<Transfer>, PspError> {
        self.paystack.verify_transfer(reference).await
    }

    async fn refund(&self, refund: &NewRefund) -> Result<Refund, PspError> {
        self.paystack.refund(refund).await
    }

    async fn refunds_of(&self, payment_id: &str) -> Result<Vec<Refund>, PspError> {
        self.paystack.refunds_of(payment_id).await
    }

    async fn disputes_of(&self, payment_id: &str) -> Result<Vec<Dispute>, PspError> {
        self.paystack.disputes_of(payment_id).await
    }

    fn signature_header(&self) -> &'static str {
        self.paystack.signature_header()
    }

    fn webhook(&self, body: &[u8], signature: Option<&str>) -> Result<WebhookEvent, WebhookError> {
        self.paystack.webhook(body, signature)
    }

    fn read_webhook(&self, body: &[u8]) -> Result<WebhookEvent, WebhookError> {
        self.paystack.read_webhook(body)
    }
}

/// So many items are requested.
async fn requested(scene: &Scene) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM payouts WHERE run_key = 'a'")
        .fetch_one(scene.pool())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_work_panics_is_taken_up_again_by_the_same_worker() {
    let scene = Scene::new().await;
    let merchants = scene.merchants(3, 50_000).await;
    // It waits for a second person, so that nobody but the worker pays it.
    let list = scene.list(&merchants, 20_000);
    let above = [("PAYOUT_RUN_APPROVAL_ABOVE_MINOR", "1")];
    let started = scene.run_with(&start("a", &list), &above).exits(0);
    assert_eq!(started.json()["status"], "waiting");
    sqlx::query(
        "UPDATE payout_runs SET status = 'running', in_background = true, approved_by = 'ben',
             approved_from = 'here', approved_at = now() WHERE key = 'a'",
    )
    .execute(scene.pool())
    .await
    .unwrap();

    let mut options = PaystackOptions::new(Secret::new(KEY));
    options.base_url = scene.simulator.base_url();
    let is_mended = Arc::new(AtomicBool::new(false));
    let psp = Flawed {
        paystack: Paystack::new(options).unwrap(),
        is_mended: Arc::clone(&is_mended),
    };
    let desk = Desk {
        pool: scene.database.settings().posting_pool(4),
        payouts: payouts::Options::from_config(&Config::default(), psp.name()),
        psp,
        pace: Pace {
            at_once: 1,
            calls_per_second: 10_000,
            patience: Duration::from_millis(100),
        },
    };
    let worker = Worker::new(desk, scene.database.settings());
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let began = Instant::now();
    while requested(&scene).await < 3 {
        assert!(began.elapsed() < PATIENCE, "nobody goes on with it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_mended.load(Ordering::SeqCst), "it panicked");
    stop.cancel();
    working.await.unwrap();
}
