//! A simulator, and the adapter that speaks to it.

use std::time::Duration;

use aegis::config::Secret;
use aegis::ledger::Currency;
use aegis::psp::{
    Destination, NewPayment, NewRecipient, NewRefund, NewTransfer, Paystack, PaystackOptions, Psp,
};
use aegis::simulator::{Armed, Fault, Simulator, SimulatorOptions};
use serde_json::Value;

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const KEY: &str = "sk_test_0123456789abcdef";

pub fn ngn() -> Currency {
    Currency::from_code("NGN").unwrap()
}

pub fn options() -> SimulatorOptions {
    let mut options = SimulatorOptions::new(Secret::new(KEY));
    options.balances = vec![(ngn(), 100_000_000)];
    options.settle_after = None;
    options.webhook_retries = vec![Duration::from_millis(5); 20];
    options.late = Duration::from_millis(50);
    options
}

pub struct Scene {
    pub simulator: Simulator,
    pub psp: Paystack,
    http: reqwest::Client,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(options()).await
    }

    pub async fn with(options: SimulatorOptions) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        let psp = adapter(&simulator.base_url(), |_| ());
        Self {
            simulator,
            psp,
            http: reqwest::Client::new(),
        }
    }

    /// An adapter of its own, which waits less for an answer.
    pub fn impatient(&self) -> Paystack {
        adapter(&self.simulator.base_url(), |options| {
            options.timeout = Duration::from_secs(2);
        })
    }

    pub fn arm(&self, fault: Fault) {
        self.simulator.arm(Armed::next(fault));
    }

    /// A request to the simulator's own routes; the answer's status and JSON.
    pub async fn own(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}/simulator{path}", self.simulator.base_url());
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, url).body(body.to_owned());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub async fn pay(&self, reference: &str) {
        let path = format!("/checkout/{reference}/pay");
        let (status, answer) = self.own("POST", &path, "").await;
        assert_eq!(status, 200, "{answer}");
    }

    /// An opened payment that its customer has paid.
    pub async fn paid(&self, reference: &str, amount: i64) {
        self.psp
            .initialize(&payment(reference, amount))
            .await
            .unwrap();
        self.pay(reference).await;
    }

    pub async fn recipient(&self) -> String {
        self.psp.create_recipient(&ada()).await.unwrap().code
    }

    /// The books sum to zero, and nobody else's money is in them.
    pub fn assert_balanced(&self) {
        self.simulator
            .with_books(|books| assert_eq!(books.total(ngn()), 0));
    }
}

pub fn adapter(base_url: &str, change: impl FnOnce(&mut PaystackOptions)) -> Paystack {
    let mut options = PaystackOptions::new(Secret::new(KEY));
    options.base_url = base_url.to_owned();
    options.timeout = PATIENCE;
    change(&mut options);
    Paystack::new(options).unwrap()
}

pub fn payment(reference: &str, amount: i64) -> NewPayment {
    NewPayment {
        reference: reference.to_owned(),
        email: "ada@example.com".to_owned(),
        amount,
        currency: ngn(),
        callback_url: Some("https://shop.example.com/back".to_owned()),
        metadata: serde_json::json!({"order": 17}).as_object().cloned(),
    }
}

pub fn ada() -> NewRecipient {
    NewRecipient {
        name: "Ada".to_owned(),
        destination: Destination::Account {
            kind: "nuban".to_owned(),
            account_number: "0000000000".to_owned(),
            bank_code: "058".to_owned(),
        },
        currency: ngn(),
    }
}

pub fn transfer(reference: &str, amount: i64, recipient: &str) -> NewTransfer {
    NewTransfer {
        reference: reference.to_owned(),
        amount,
        currency: ngn(),
        recipient: recipient.to_owned(),
        reason: Some("payout".to_owned()),
    }
}

pub fn refund(payment: &str, amount: i64, note: &str) -> NewRefund {
    NewRefund {
        payment_reference: payment.to_owned(),
        amount,
        currency: ngn(),
        customer_note: None,
        merchant_note: Some(note.to_owned()),
    }
}
