//! Paystack as the tests meet it: an adapter for a simulator, somebody to pay, and where webhooks
//! arrive.

use std::time::Duration;

use aegis::config::Secret;
use aegis::psp::{Destination, NewRecipient, Paystack, PaystackOptions};
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The simulators' secret key.
pub const KEY: &str = "sk_test_0123456789abcdef";

/// An adapter for scenes with a clock of their own. Its breaker pauses by the machine's clock, not by
/// the scene's: hardly at all, so that what is due is asked.
pub fn adapter(base_url: &str, timeout: Duration) -> Paystack {
    let mut options = PaystackOptions::new(Secret::new(KEY));
    options.base_url = base_url.to_owned();
    options.timeout = timeout;
    options.breaker.open = Duration::from_millis(1);
    Paystack::new(options).unwrap()
}

/// An account of somebody with this name, in naira.
pub fn account_of(name: &str) -> NewRecipient {
    NewRecipient {
        name: name.to_owned(),
        destination: Destination::Account {
            kind: "nuban".to_owned(),
            account_number: "0000000000".to_owned(),
            bank_code: "058".to_owned(),
        },
        currency: "NGN".parse().unwrap(),
    }
}

/// A webhook's body and its signature.
pub type Webhook = (Bytes, String);

/// Where webhooks arrive: the address, and what comes.
pub async fn hook() -> (String, UnboundedReceiver<Webhook>) {
    let (sent, arrived) = unbounded_channel();
    let hear = async move |headers: HeaderMap, body: Bytes| {
        let signature = headers["x-paystack-signature"].to_str().unwrap().to_owned();
        sent.send((body, signature)).unwrap();
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let router = Router::new().route("/hook", post(hear));
        axum::serve(listener, router).await.unwrap();
    });
    (url, arrived)
}
