//! Carries webhooks to their receiver, until it answers 200 or the schedule is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::books::Happened;
use super::fault::Fault;
use super::json;
use crate::config::Secret;
use crate::psp::http::{Bounds, Http};
use crate::psp::paystack::{SIGNATURE_HEADER, sign};

/// Paystack's waits in live mode: 3 minutes for the first 4 attempts, then an hour for 72 hours
/// (<https://paystack.com/docs/payments/webhooks/>).
pub const PAYSTACK_RETRIES: [Duration; 76] = {
    let mut waits = [Duration::from_secs(3_600); 76];
    let mut early = 0;
    while early < 4 {
        waits[early] = Duration::from_secs(180);
        early += 1;
    }
    waits
};

/// Webhooks under way at once.
const AT_ONCE: usize = 8;
/// How many are remembered one by one.
const REMEMBERED: usize = 1_000;

/// How a courier works.
#[derive(Debug, Clone)]
pub(super) struct CourierOptions {
    pub url: Option<Uri>,
    pub secret_key: Secret,
    pub retries: Vec<Duration>,
    pub late: Duration,
    /// How long one that is to come after the next one waits for a next one.
    pub held_max: Duration,
}

/// What became of the webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Webhooks {
    /// Attempts, forged ones left out.
    pub attempts: u64,
    /// Answered with 200.
    pub delivered: u64,
    /// Given up after the last attempt.
    pub given_up: u64,
    /// Under way, or waiting for another attempt.
    pub waiting: u64,
    /// The latest, the newest last.
    pub latest: Vec<Delivery>,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Delivery {
    /// `charge.success` and so on.
    pub event: &'static str,
    /// The payment's or transfer's.
    pub reference: String,
    /// How often it was sent.
    pub attempts: u64,
    /// `waiting`, `delivered` or `given_up`.
    pub state: &'static str,
    /// What the last attempt was answered with.
    pub answer: Option<String>,
}

/// Clones are handles on the same.
#[derive(Debug, Clone)]
pub(super) struct Courier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: CourierOptions,
    http: Http,
    permits: Semaphore,
    stop: CancellationToken,
    tasks: TaskTracker,
    log: Mutex<Log>,
    held: Mutex<Option<Parcel>>,
}

#[derive(Debug, Default)]
struct Log {
    counts: Webhooks,
    by_number: BTreeMap<u64, Delivery>,
    last_number: u64,
}

#[derive(Debug, Clone)]
struct Parcel {
    number: u64,
    body: Bytes,
    signature: String,
}

impl Courier {
    pub(super) fn new(
        options: CourierOptions,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, rustls::Error> {
        let http = Http::new(Bounds {
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            body_bytes_max: 64 * 1024,
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                http,
                permits: Semaphore::new(AT_ONCE),
                stop,
                tasks,
                log: Mutex::default(),
                held: Mutex::default(),
            }),
        })
    }

    /// What became of those so far.
    pub(super) fn report(&self) -> Webhooks {
        let log = self.log();
        Webhooks {
            latest: log.by_number.values().cloned().collect(),
            ..log.counts.clone()
        }
    }

    /// Sends one, and goes on without waiting for it.
    pub(super) fn post(&self, happened: &Happened, faults: &[Fault]) {
        let Some(parcel) = self.pack(happened, faults) else {
            return;
        };
        let courier = self.clone();
        let late = faults.contains(&Fault::Late);
        let again = faults
            .contains(&Fault::Duplicate)
            .then(|| self.again(&parcel));
        if faults.contains(&Fault::Forged) {
            self.spawn(self.clone().forge(parcel.body.clone()));
        }
        if faults.contains(&Fault::Reorder) {
            self.hold(parcel);
            if let Some(again) = again {
                self.spawn(self.clone().carry(again));
            }
            return;
        }
        let held = self.held().take();
        self.spawn(async move {
            if late {
                tokio::time::sleep(courier.shared.options.late).await;
            }
            let first = courier.attempt(&parcel).await;
            if let Some(held) = held {
                courier.spawn(courier.clone().carry(held));
            }
            courier.carry_on(parcel, first).await;
        });
        if let Some(again) = again {
            self.spawn(self.clone().carry(again));
        }
    }

    /// Sends one and waits for its first attempt.
    pub(super) async fn post_now(&self, happened: &Happened, faults: &[Fault]) {
        let Some(parcel) = self.pack(happened, faults) else {
            return;
        };
        let first = self.attempt(&parcel).await;
        let again = faults
            .contains(&Fault::Duplicate)
            .then(|| self.again(&parcel));
        self.spawn(self.clone().carry_on(parcel, first));
        if let Some(again) = again {
            self.spawn(self.clone().carry(again));
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.shared.stop.clone();
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// None where nobody is to be told.
    fn pack(&self, happened: &Happened, faults: &[Fault]) -> Option<Parcel> {
        self.shared.options.url.as_ref()?;
        if faults.contains(&Fault::Missing) {
            return None;
        }
        let body = json::event(happened);
        Some(Parcel {
            number: self.log().begin(happened.kind(), happened.reference()),
            signature: sign(&self.shared.options.secret_key, &body),
            body: body.into(),
        })
    }

    fn again(&self, parcel: &Parcel) -> Parcel {
        let mut log = self.log();
        let (event, reference) = match log.by_number.get(&parcel.number) {
            Some(first) => (first.event, first.reference.clone()),
            None => ("", String::new()),
        };
        Parcel {
            number: log.begin(event, &reference),
            ..parcel.clone()
        }
    }

    /// Until the next one is sent, or for a while where none is.
    fn hold(&self, parcel: Parcel) {
        let number = parcel.number;
        if let Some(before) = self.held().replace(parcel) {
            self.spawn(self.clone().carry(before));
        }
        let courier = self.clone();
        self.spawn(async move {
            tokio::time::sleep(courier.shared.options.held_max).await;
            let mine = courier.held().take_if(|held| held.number == number);
            if let Some(parcel) = mine {
                courier.carry(parcel).await;
            }
        });
    }

    async fn carry(self, parcel: Parcel) {
        let first = self.attempt(&parcel).await;
        self.carry_on(parcel, first).await;
    }

    async fn carry_on(self, parcel: Parcel, first: bool) {
        let mut delivered = first;
        for wait in &self.shared.options.retries {
            if delivered {
                break;
            }
            tokio::time::sleep(*wait).await;
            delivered = self.attempt(&parcel).await;
        }
        self.log().end(parcel.number, delivered);
    }

    /// Whether it was answered with 200.
    async fn attempt(&self, parcel: &Parcel) -> bool {
        let answer = self.send(&parcel.body, &parcel.signature).await;
        self.log().attempted(parcel.number, answer.clone());
        answer == StatusCode::OK.as_str()
    }

    async fn forge(self, body: Bytes) {
        let signature = sign(&Secret::new("sk_test_somebody_else"), &body);
        self.send(&body, &signature).await;
    }

    async fn send(&self, body: &Bytes, signature: &str) -> String {
        let Some(url) = self.shared.options.url.clone() else {
            return "nobody to send it to".to_owned();
        };
        let Ok(_permit) = self.shared.permits.acquire().await else {
            return "stopped".to_owned();
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, signature)
            .body(Full::new(body.clone()));
        match request {
            Ok(request) => match self.shared.http.send(request).await {
                Ok(reply) => reply.status.as_str().to_owned(),
                Err(silence) => silence.to_string(),
            },
            Err(error) => error.to_string(),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Option<Parcel>> {
        self.shared
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn begin(&mut self, event: &'static str, reference: &str) -> u64 {
        self.last_number += 1;
        self.counts.waiting += 1;
        let delivery = Delivery {
            event,
            reference: reference.to_owned(),
            attempts: 0,
            state: "waiting",
            answer: None,
        };
        self.by_number.insert(self.last_number, delivery);
        if self.by_number.len() > REMEMBERED {
            self.by_number.pop_first();
        }
        self.last_number
    }

    fn attempted(&mut self, number: u64, answer: String) {
        self.counts.attempts += 1;
        if let Some(delivery) = self.by_number.get_mut(&number) {
            delivery.attempts += 1;
            delivery.answer = Some(answer);
        }
    }

    fn end(&mut self, number: u64, delivered: bool) {
        self.counts.waiting = self.counts.waiting.saturating_sub(1);
        let (count, state) = match delivered {
            true => (&mut self.counts.delivered, "delivered"),
            false => (&mut self.counts.given_up, "given_up"),
        };
        *count += 1;
        if let Some(delivery) = self.by_number.get_mut(&number) {
            delivery.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paystack_waits_3_minutes_four_times_and_then_an_hour_for_72_hours() {
        let seconds: Vec<u64> = PAYSTACK_RETRIES.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds[..5], [180, 180, 180, 180, 3_600]);
        assert_eq!(seconds[4..].iter().sum::<u64>(), 72 * 3_600);
    }
}
