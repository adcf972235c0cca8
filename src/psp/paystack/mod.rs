//! Paystack, by its public documentation (<https://paystack.com/docs/api/>).
//!
//! | call | page |
//! |---|---|
//! | `POST /transaction/initialize` | <https://paystack.com/docs/api/transaction/#initialize> |
//! | `GET /transaction/verify/{reference}` | <https://paystack.com/docs/api/transaction/#verify> |
//! | `POST /transferrecipient` | <https://paystack.com/docs/api/transfer-recipient/#create> |
//! | `POST /transfer` | <https://paystack.com/docs/api/transfer/#initiate> |
//! | `GET /transfer/verify/{reference}` | <https://paystack.com/docs/api/transfer/#verify> |
//! | `POST /refund`, `GET /refund` | <https://paystack.com/docs/api/refund/> |
//! | `GET /dispute` | <https://paystack.com/docs/api/dispute/> |
//! | webhooks | <https://paystack.com/docs/payments/webhooks/> |
//! | errors | <https://paystack.com/docs/api/errors/>, <https://github.com/PaystackOSS/openapi/blob/main/errors/api-errors.json> |
//!
//! The secret key is the bearer of each call. Amounts are minor units as JSON numbers, and every
//! answer is an envelope `{status, message, data}`. `answer` tells what may be assumed after one,
//! `wire` reads the data, `webhook` the events.

mod answer;
mod reference;
mod webhook;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::answer::{Judged, Refusal};
use super::http::{Bounds, Http, Reply, Silence};
use super::{
    Checkout, Dispute, Lookup, NewPayment, NewRecipient, NewRefund, NewTransfer, Payment, Psp,
    PspError, Recipient, Refund, Transfer, WebhookError, WebhookEvent,
};
use crate::config::{PaystackConfig, Secret};
use crate::json;
use crate::resilience::breaker::{Breaker, BreakerOptions, BreakerReport};
use crate::telemetry::span::{Kind, Span};

pub(crate) use self::reference::{payment_reference_problem, transfer_reference_problem};
pub use self::webhook::{SIGNATURE_HEADER, sign};

/// The name in addresses, routes and metrics.
pub const NAME: &str = "paystack";

/// Bytes of an answer that are read. The longest documented one has about 3 KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Refunds that are asked for at once; a payment with more can't be looked through.
const LISTED_MAX: usize = 100;

/// How to reach Paystack.
#[derive(Debug, Clone)]
pub struct PaystackOptions {
    /// Carried by each call; also what webhooks are signed with.
    pub secret_key: Secret,
    /// `https://api.paystack.co`, without a slash behind it.
    pub base_url: String,
    /// What one call may take.
    pub timeout: Duration,
    /// What making a connection may take of it.
    pub connect_timeout: Duration,
    /// When Paystack is left alone.
    pub breaker: BreakerOptions,
}

impl PaystackOptions {
    /// The real host, 10 s a call and 3 s of them for connecting.
    #[must_use]
    pub fn new(secret_key: Secret) -> Self {
        Self {
            secret_key,
            base_url: "https://api.paystack.co".to_owned(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            breaker: BreakerOptions::default(),
        }
    }

    /// As configured; none where there is no secret key.
    #[must_use]
    pub fn from_config(config: &PaystackConfig) -> Option<Self> {
        let mut options = Self::new(config.secret_key.clone()?);
        options.base_url.clone_from(&config.base_url);
        options.timeout = config.timeout;
        options.connect_timeout = options.connect_timeout.min(config.timeout);
        Some(options)
    }
}

/// What is wrong with the options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaystackError {
    /// The key can't be sent.
    #[error(
        "Paystack's secret key is empty or has characters that no key has: check PAYSTACK_SECRET_KEY"
    )]
    SecretKey,
    /// TLS can't be set up.
    #[error("TLS for calls to Paystack can't be set up: {0}")]
    Tls(String),
}

/// Paystack behind a breaker. Clones are handles on the same.
#[derive(Clone)]
pub struct Paystack {
    shared: Arc<Shared>,
}

struct Shared {
    http: Http,
    base_url: String,
    bearer: HeaderValue,
    secret_key: Secret,
    breaker: Breaker,
}

impl std::fmt::Debug for Paystack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paystack")
            .field("base_url", &self.shared.base_url)
            .field("breaker", &self.breaker())
            .finish_non_exhaustive()
    }
}

impl Paystack {
    /// Connects when first asked.
    ///
    /// # Errors
    /// [`PaystackError`].
    pub fn new(options: PaystackOptions) -> Result<Self, PaystackError> {
        let key = options.secret_key.expose();
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(PaystackError::SecretKey);
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| PaystackError::SecretKey)?;
        bearer.set_sensitive(true);
        let http = Http::new(Bounds {
            connect_timeout: options.connect_timeout,
            timeout: options.timeout,
            body_bytes_max: BODY_BYTES_MAX,
        })
        .map_err(|error| PaystackError::Tls(error.to_string()))?;
        Ok(Self {
            shared: Arc::new(Shared {
                http,
                base_url: options.base_url,
                bearer,
                secret_key: options.secret_key,
                breaker: Breaker::new(NAME, options.breaker),
            }),
        })
    }

    /// How its breaker stands.
    #[must_use]
    pub fn breaker(&self) -> BreakerReport {
        self.shared.breaker.report(Instant::now())
    }

    async fn post<T: DeserializeOwned, R>(
        &self,
        path: &str,
        body: &impl Serialize,
        then: impl FnOnce(Answer<T>) -> Result<R, PspError>,
    ) -> Result<R, PspError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| refused("request_not_json", &error.to_string()))?;
        self.call(Method::POST, path, Some(body), then).await
    }

    async fn get<T: DeserializeOwned, R>(
        &self,
        path: &str,
        then: impl FnOnce(Answer<T>) -> Result<R, PspError>,
    ) -> Result<R, PspError> {
        self.call(Method::GET, path, None, then).await
    }

    /// One call. The breaker counts outages; a 4xx is an answer, however it is to be read.
    async fn call<T: DeserializeOwned, R>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        then: impl FnOnce(Answer<T>) -> Result<R, PspError>,
    ) -> Result<R, PspError> {
        let span = self.span(&method, path);
        let mut request = self.request(method, path, body)?;
        if let Some(Ok(value)) = span.traceparent().map(HeaderValue::try_from) {
            request.headers_mut().insert("traceparent", value);
        }
        let permit = self.shared.breaker.permit(Instant::now())?;
        let answer = self.shared.http.send(request).await;
        tell(&span, &answer);
        drop(span);
        let (answered, is_4xx) = match answer {
            Ok(reply) => {
                let is_4xx = reply.status.is_client_error();
                let key = self.shared.secret_key.expose();
                (
                    answer::judge(&reply, key).and_then(|judged| then(judged.read()?)),
                    is_4xx,
                )
            }
            Err(Silence::Unreachable(reason)) => (Err(PspError::Unreachable { reason }), false),
            Err(silence) => (Err(PspError::unknown(silence.to_string())), false),
        };
        match &answered {
            Err(error) if error.is_outage() && !is_4xx => permit.failed(Instant::now(), error),
            _ => permit.succeeded(),
        }
        answered
    }

    fn span(&self, method: &Method, path: &str) -> Span {
        // Without what names one payment: spans of one kind of call are counted together.
        let route = path.split(['?', '/']).skip(1).take(2);
        let route = match path.contains('?') {
            true => route.take(1).collect::<Vec<_>>(),
            false => route.collect(),
        };
        let span = Span::child(Kind::Client, format!("{method} /{}", route.join("/")));
        if span.is_recorded() {
            span.set("http.request.method", method.to_string());
            span.set("server.address", self.shared.base_url.clone());
            span.set("aegis.psp", NAME);
        }
        span
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, PspError> {
        let agent = concat!("aegis/", env!("CARGO_PKG_VERSION"));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.shared.base_url))
            .header(AUTHORIZATION, &self.shared.bearer)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, agent);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| refused("request_not_http", &error.to_string()))
    }
}

fn tell(span: &Span, answer: &Result<Reply, Silence>) {
    match answer {
        Ok(reply) => {
            span.set(
                "http.response.status_code",
                i64::from(reply.status.as_u16()),
            );
            if reply.status.is_client_error() || reply.status.is_server_error() {
                span.fail("");
            }
        }
        Err(silence) if span.is_recorded() => span.fail(silence.to_string()),
        Err(_) => {}
    }
}

/// Paystack's data, or its no.
type Answer<T> = Result<T, Refusal>;

impl Judged {
    fn read<T: DeserializeOwned>(self) -> Result<Answer<T>, PspError> {
        match self {
            Self::Refused(refusal) => Ok(Err(refusal)),
            Self::Data(data) => serde_json::from_str(data.get()).map(Ok).map_err(|error| {
                let problem = json::problem(&error);
                PspError::unknown(format!("the answer's data can't be read: {problem}"))
            }),
        }
    }
}

/// A no of our own, before anything was sent.
fn refused(code: &str, message: &str) -> PspError {
    PspError::Refused {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

fn positive(amount: i64) -> Result<(), PspError> {
    match amount > 0 {
        true => Ok(()),
        false => Err(refused("amount_not_positive", "an amount is at least 1")),
    }
}

fn checked(problem: Option<&'static str>) -> Result<(), PspError> {
    problem.map_or(Ok(()), |problem| {
        Err(refused("reference_not_allowed", problem))
    })
}

impl Psp for Paystack {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn initialize(&self, payment: &NewPayment) -> Result<Checkout, PspError> {
        checked(payment_reference_problem(&payment.reference))?;
        positive(payment.amount)?;
        let body = wire::Initialize::new(payment);
        self.post("/transaction/initialize", &body, |answer| match answer {
            Ok(data) => wire::Initialized::checkout(data, &payment.reference),
            Err(no) if no.is_duplicate_payment() => Err(taken(&payment.reference)),
            Err(no) => Err(no.into()),
        })
        .await
    }

    async fn verify(&self, reference: &str) -> Result<Lookup<Payment>, PspError> {
        checked(payment_reference_problem(reference))?;
        let path = format!("/transaction/verify/{reference}");
        self.get(&path, |answer| match answer {
            Ok(data) => wire::Transaction::payment(data, reference).map(Lookup::Known),
            Err(no) if no.is_payment_not_found() => Ok(Lookup::NotKnown),
            Err(no) => Err(no.into()),
        })
        .await
    }

    async fn create_recipient(&self, recipient: &NewRecipient) -> Result<Recipient, PspError> {
        let body = wire::CreateRecipient::new(recipient);
        self.post(
            "/transferrecipient",
            &body,
            |answer: Answer<wire::Recipient>| match answer {
                Ok(data) => Ok(data.into()),
                Err(no) => Err(no.into()),
            },
        )
        .await
    }

    async fn transfer(&self, transfer: &NewTransfer) -> Result<Transfer, PspError> {
        checked(transfer_reference_problem(&transfer.reference))?;
        positive(transfer.amount)?;
        let body = wire::InitiateTransfer::new(transfer);
        self.post("/transfer", &body, |answer| match answer {
            Ok(data) => wire::Transfer::transfer(data, &transfer.reference),
            Err(no) if no.is_duplicate_transfer() => Err(taken(&transfer.reference)),
            Err(no) => Err(no.of_an_act()),
        })
        .await
    }

    async fn verify_transfer(&self, reference: &str) -> Result<Lookup<Transfer>, PspError> {
        checked(transfer_reference_problem(reference))?;
        let path = format!("/transfer/verify/{reference}");
        self.get(&path, |answer| match answer {
            Ok(data) => wire::Transfer::transfer(data, reference).map(Lookup::Known),
            Err(no) if no.is_transfer_not_found() => Ok(Lookup::NotKnown),
            Err(no) => Err(no.into()),
        })
        .await
    }

    async fn refund(&self, refund: &NewRefund) -> Result<Refund, PspError> {
        checked(payment_reference_problem(&refund.payment_reference))?;
        positive(refund.amount)?;
        let body = wire::CreateRefund::new(refund);
        self.post(
            "/refund",
            &body,
            |answer: Answer<wire::Refund>| match answer {
                Ok(data) => data.refund(Some(&refund.payment_reference)),
                Err(no) => Err(no.of_an_act()),
            },
        )
        .await
    }

    async fn refunds_of(&self, payment_id: &str) -> Result<Vec<Refund>, PspError> {
        checked_id(payment_id)?;
        let path = format!("/refund?transaction={payment_id}&perPage={LISTED_MAX}");
        self.get(&path, |answer: Answer<Vec<wire::Refund>>| match answer {
            // There might be more on the next page, among them the one that is looked for.
            Ok(data) if data.len() >= LISTED_MAX => {
                Err(PspError::unknown("the payment has too many refunds"))
            }
            Ok(data) => data.into_iter().map(|refund| refund.refund(None)).collect(),
            Err(no) => Err(no.into()),
        })
        .await
    }

    async fn disputes_of(&self, payment_id: &str) -> Result<Vec<Dispute>, PspError> {
        checked_id(payment_id)?;
        let path = format!("/dispute?transaction={payment_id}&perPage={LISTED_MAX}");
        self.get(&path, |answer: Answer<Vec<wire::Dispute>>| match answer {
            Ok(data) if data.len() >= LISTED_MAX => {
                Err(PspError::unknown("the payment has too many disputes"))
            }
            Ok(data) => data
                .into_iter()
                .map(|dispute| dispute.read().map_err(PspError::unknown))
                .collect(),
            Err(no) => Err(no.into()),
        })
        .await
    }

    fn signature_header(&self) -> &'static str {
        SIGNATURE_HEADER
    }

    fn webhook(&self, body: &[u8], signature: Option<&str>) -> Result<WebhookEvent, WebhookError> {
        webhook::read(&self.shared.secret_key, body, signature)
    }

    fn read_webhook(&self, body: &[u8]) -> Result<WebhookEvent, WebhookError> {
        webhook::event(body)
    }
}

fn checked_id(payment_id: &str) -> Result<(), PspError> {
    match !payment_id.is_empty() && payment_id.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(()),
        false => Err(refused("id_not_allowed", "Paystack's ids are digits")),
    }
}

fn taken(reference: &str) -> PspError {
    PspError::ReferenceTaken {
        reference: reference.to_owned(),
    }
}

#[cfg(test)]
mod tests;
