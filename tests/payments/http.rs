//! Payments through the real aegisd, against the simulator over HTTP.

use aegis::config::Secret;
use aegis::ledger::Ledger;
use aegis::psp::paystack;
use aegis::simulator::{Armed, Call, Fault, Simulator, SimulatorOptions};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet};
use crate::common::merchant::{TERMS, merchant};
use crate::scene::{KEY, charge};
use crate::support::PATIENCE;
use crate::support::daemon::{Daemon, Settings};
use crate::support::port::free_port;

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) ledger: Ledger,
    pub(crate) daemon: Daemon,
    pub(crate) simulator: Simulator,
    pub(crate) http: Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings, |_| ()).await
    }

    /// A daemon, and a simulator that sends its webhooks there.
    pub(crate) async fn with(
        settings: impl FnOnce(Settings) -> Settings,
        change: impl FnOnce(&mut SimulatorOptions),
    ) -> Self {
        let database = TestDatabase::create().await;
        let ledger = main_ledger(database.pool()).await;
        merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let given = Settings::new(database.url())
            .with("PAYSTACK_SECRET_KEY", KEY)
            .with("PAYSTACK_BASE_URL", &url)
            .with("PAYMENTS_POLL_MS", "50");
        let daemon = settings(given).start().await;
        let mut options = SimulatorOptions::new(Secret::new(KEY));
        options.listen = format!("127.0.0.1:{port}").parse().unwrap();
        options.webhook_url = Some(format!("http://{}/v1/webhooks/paystack", daemon.address));
        options.webhook_retries = vec![Duration::from_millis(50); 50];
        options.late = Duration::from_millis(50);
        change(&mut options);
        let simulator = Simulator::start(options).await.unwrap();
        Self {
            database,
            ledger,
            daemon,
            simulator,
            http: Client::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.daemon.address)
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let request = self
            .http
            .post(self.url(path))
            .header("idempotency-key", key);
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn hook(&self, body: &[u8], signature: Option<&str>) -> (u16, Value) {
        let mut request = self.http.post(self.url("/v1/webhooks/paystack"));
        if let Some(signature) = signature {
            request = request.header("x-paystack-signature", signature);
        }
        let answer = request.body(body.to_vec()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn pay(&self, reference: &str) {
        let base = self.simulator.base_url();
        let url = format!("{base}/simulator/checkout/{reference}/pay");
        let answer = self.http.post(url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }

    /// Waits until a payment stands so.
    pub(crate) async fn stands(&self, reference: &str, status: &str) -> Value {
        let began = Instant::now();
        loop {
            let (_, payment) = self
                .get(&format!("/v1/ledgers/main/payments/{reference}"))
                .await;
            if payment["status"] == status {
                return payment;
            }
            assert!(began.elapsed() < PATIENCE, "never {status}: {payment}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn pending(&self) -> i64 {
        let (pool, wallet) = (self.database.pool(), "merchant:acme:pending");
        read_wallet(pool, &self.ledger, wallet, "NGN").await.balance
    }
}

fn order(reference: &str) -> Value {
    json!({
        "merchant": "acme", "amount": 1_000_000, "currency": "NGN", "email": "ada@example.com",
        "reference": reference,
    })
}

const PAYMENTS: &str = "/v1/ledgers/main/payments";

#[tokio::test]
async fn a_payment_goes_from_its_making_to_its_credit() {
    let world = World::new().await;
    let (status, made) = world.post(PAYMENTS, "k1", &order("order-1")).await;
    assert_eq!(
        (status, &made["status"]),
        (201, &json!("pending")),
        "{made}"
    );
    assert_eq!(
        (&made["fee"], &made["net"]),
        (&json!(25_000), &json!(975_000))
    );
    assert!(made["checkout_url"].is_string());
    let (_, again) = world.post(PAYMENTS, "k1", &order("order-1")).await;
    assert_eq!(again, made);
    let (status, other) = world.post(PAYMENTS, "k1", &order("order-2")).await;
    assert_eq!(
        (status, &other["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    world.pay("order-1").await;
    let paid = world.stands("order-1", "succeeded").await;
    assert_eq!(paid["id"], made["id"]);
    assert_eq!(world.pending().await, 975_000);
    let (_, page) = world
        .get(&format!("{PAYMENTS}?status=succeeded&merchant=acme"))
        .await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let (_, page) = world.get(&format!("{PAYMENTS}?status=failed")).await;
    assert_eq!(page["items"], json!([]));
    let id = made["id"].as_str().unwrap();
    let (status, asked) = world
        .post(&format!("{PAYMENTS}/{id}/requery"), "k2", &json!({}))
        .await;
    assert_eq!((status, &asked["status"]), (200, &json!("succeeded")));
    let (status, missing) = world.get(&format!("{PAYMENTS}/nothing")).await;
    assert_eq!(
        (status, &missing["code"]),
        (404, &json!("payment_not_found"))
    );
    let (_, ready) = world.get("/readyz").await;
    assert_eq!(ready["status"], "ok");
    assert_eq!(world.daemon.stop().await, Some(0));
}

#[tokio::test]
async fn everything_that_webhooks_can_do_credits_once() {
    let world = World::new().await;
    let faults = [
        Fault::Duplicate,
        Fault::Reorder,
        Fault::Late,
        Fault::Forged,
        Fault::Early,
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let reference = format!("order-{n}");
        let call = match fault {
            Fault::Early => Call::Initialize,
            _ => Call::Webhook,
        };
        world.simulator.arm(Armed {
            call: Some(call),
            reference: Some(reference.clone()),
            ..Armed::next(fault)
        });
        let (status, made) = world.post(PAYMENTS, &reference, &order(&reference)).await;
        assert_eq!(status, 201, "{made}");
        if fault != Fault::Early {
            world.pay(&reference).await;
        }
    }
    for n in 0..faults.len() {
        world.stands(&format!("order-{n}"), "succeeded").await;
    }
    assert_eq!(world.pending().await, 5 * 975_000);
}

#[tokio::test]
async fn success_is_answered_only_once_the_webhook_is_stored() {
    let world = World::new().await;
    let body = charge(7, "order-1", 1_000, "NGN", None);
    let signature = paystack::sign(&Secret::new(KEY), &body);
    // Nobody can write to the table: there is nothing to be answered with 200.
    let mut lock = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE psp_webhooks IN EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let hook = world.hook(&body, Some(&signature));
    let unlock = async {
        world.database.wait_until_blocked().await;
        lock.rollback().await.unwrap();
    };
    let ((status, answer), ()) = tokio::join!(hook, unlock);
    assert!(status == 200 || status == 503, "{answer}");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM psp_webhooks")
        .fetch_one(world.database.pool())
        .await
        .unwrap();
    assert_eq!(rows, i64::from(status == 200));
    let (status, answer) = world.hook(&body, Some(&signature)).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_forged_or_unsigned_webhook_is_a_401_without_a_trace_of_its_body() {
    let world = World::with(
        |settings| settings.with("RUST_LOG", "trace"),
        |options| options.webhook_url = None,
    )
    .await;
    let body = charge(7, "watchword-in-the-body", 1_000, "NGN", None);
    let forged = paystack::sign(&Secret::new("sk_another"), &body);
    for (signature, code) in [
        (None, "signature_missing"),
        (Some(forged.as_str()), "signature_invalid"),
        (Some("zz"), "signature_invalid"),
    ] {
        let (status, answer) = world.hook(&body, signature).await;
        assert_eq!((status, &answer["code"]), (401, &json!(code)));
        assert!(!answer.to_string().contains("watchword"));
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM psp_webhooks")
        .fetch_one(world.database.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
    world.daemon.terminate();
    let mut daemon = world.daemon;
    daemon.logged("stopped").await;
    assert!(daemon.has_logged("request"));
    assert!(!daemon.log_holds("watchword"), "the body is in the log");
}

#[tokio::test]
async fn a_webhook_for_nobody_or_too_long_is_refused() {
    let world = World::new().await;
    let at = |path: &str| world.http.post(world.url(path));
    let answer = at("/v1/webhooks/nobody").body("{}").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 404);
    let long = vec![b' '; 1024 * 1024 + 1];
    let answer = at("/v1/webhooks/paystack").body(long).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);
}

#[tokio::test]
async fn without_a_psp_no_payment_is_made() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
    let daemon = Settings::new(database.url()).start().await;
    let url = format!("http://{}{PAYMENTS}", daemon.address);
    let request = Client::new().post(url).header("idempotency-key", "k");
    let answer = request.json(&order("order-1")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "psp_not_configured");
}

#[tokio::test]
async fn the_breaker_of_a_psp_that_is_away_shows_in_readiness_and_the_payment_waits() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    merchant(database.pool(), &ledger, "acme", "NGN", TERMS).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let daemon = Settings::new(database.url())
        .with("PAYSTACK_SECRET_KEY", KEY)
        .with("PAYSTACK_BASE_URL", &nobody)
        .with("BREAKER_FAILURES_MAX", "1")
        .start()
        .await;
    let http = Client::new();
    let url = format!("http://{}{PAYMENTS}", daemon.address);
    let request = http.post(url).header("idempotency-key", "k");
    let answer = request.json(&order("order-1")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let made: Value = answer.json().await.unwrap();
    assert_eq!(
        (&made["status"], &made["checkout_url"]),
        (&json!("created"), &Value::Null)
    );
    let began = Instant::now();
    loop {
        let url = format!("http://{}/readyz", daemon.address);
        let ready: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        let breakers = ready["breakers"].as_array().unwrap();
        let paystack = breakers
            .iter()
            .find(|breaker| breaker["name"] == "paystack");
        if paystack.is_some_and(|breaker| breaker["state"] == "open") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{ready}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_daemon_that_is_killed_with_webhooks_in_hand_credits_them_once_after_its_start() {
    let mut world = World::with(|settings| settings, |options| options.webhook_url = None).await;
    for n in 0..20_u64 {
        let reference = format!("order-{n}");
        let (status, _) = world.post(PAYMENTS, &reference, &order(&reference)).await;
        assert_eq!(status, 201);
        let body = charge(n, &reference, 1_000_000, "NGN", None);
        let signature = paystack::sign(&Secret::new(KEY), &body);
        assert_eq!(world.hook(&body, Some(&signature)).await.0, 200);
    }
    world.daemon.kill();
    let again = Settings::new(world.database.url())
        .with("PAYSTACK_SECRET_KEY", KEY)
        .with("PAYSTACK_BASE_URL", &world.simulator.base_url());
    world.daemon = again.start().await;
    for n in 0..20 {
        world.stands(&format!("order-{n}"), "succeeded").await;
    }
    assert_eq!(world.pending().await, 20 * 975_000);
}
