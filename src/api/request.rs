//! What goes around every request: its ids, its time limit, its log line, and its error as a
//! problem document.
//!
//! One line is logged a request, without bodies. A handler's panic is an answer of 500. A handler
//! that runs out of time is dropped, as is one whose caller hangs up; what it handed to the committer
//! goes on.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::correlation::{CorrelationId, Traceparent};
use super::kinds;
use super::measured;
use super::problem::{self, Problem};
use super::{ApiState, body};
use crate::ledger::WalletRef;
use crate::merchant::MerchantId;
use crate::resilience::panicked;
use crate::telemetry::span::Span;
use crate::telemetry::{LogContext, in_context, unrecorded_traceparent};

pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What handlers know of their request beside its path and body.
#[derive(Debug)]
pub(super) struct Context {
    pub correlation_id: CorrelationId,
    pub traceparent: Traceparent,
    /// As it was sent; routes within routes see a part of it.
    pub path: String,
    key: Option<String>,
    merchant: OnceLock<String>,
    wallet: OnceLock<String>,
    body_arrived: AtomicBool,
}

impl Context {
    /// The body names the merchant that it is about.
    pub(super) fn note_merchant(&self, merchant: &MerchantId) {
        // A request has one body, so nothing is set yet.
        drop(self.merchant.set(merchant.to_string()));
    }

    /// The body names the wallet that money comes from.
    pub(super) fn note_wallet(&self, wallet: &WalletRef) {
        drop(self.wallet.set(wallet.to_string()));
    }

    fn merchant(&self) -> Option<&str> {
        let of_body = self.merchant.get().map(String::as_str);
        of_body.or_else(|| behind(&self.path, "/merchants/"))
    }

    fn wallet(&self) -> Option<&str> {
        let of_body = self.wallet.get().map(String::as_str);
        of_body.or_else(|| behind(&self.path, "/wallets/"))
    }

    /// From here on a timeout leaves the outcome open.
    pub(super) fn note_body_arrived(&self) {
        self.body_arrived.store(true, Ordering::Relaxed);
    }

    fn timeout_problem(&self, method: &Method, limit: Duration) -> Problem {
        let limit = limit.as_millis();
        if method.is_safe() {
            let detail = format!("There was no answer within {limit} ms. Try again.");
            return Problem::new(kinds::TIMEOUT, detail);
        }
        if self.body_arrived.load(Ordering::Relaxed) {
            let detail = format!(
                "There was no answer within {limit} ms. Whether the request took effect is \
                 unknown: send it again with the same Idempotency-Key, which tells."
            );
            return Problem::new(kinds::TIMEOUT, detail);
        }
        let detail = format!(
            "The body did not arrive within {limit} ms. Nothing took effect; send it again."
        );
        Problem::new(kinds::BODY_TIMEOUT, detail)
    }
}

impl LogContext for Context {
    fn tell(&self, each: &mut dyn FnMut(&'static str, &str)) {
        for (name, value) in [
            ("correlation_id", Some(self.correlation_id.as_str())),
            ("trace_id", Some(self.traceparent.trace_id())),
            ("ledger", ledger_of(&self.path)),
            ("merchant", self.merchant()),
            ("wallet", self.wallet()),
            ("idempotency_key", self.key.as_deref()),
        ] {
            if let Some(value) = value {
                each(name, value);
            }
        }
    }
}

/// Runs a request and sees to its answer.
pub(super) async fn attend(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let line = Line::of(&request);
    let (correlation_id, refused) = CorrelationId::of(request.headers());
    let came_with = Traceparent::taken_up(request.headers());
    let (is_probe, method) = (line.is_probe(), line.method.clone());
    let (span, traceparent) = match is_probe {
        true => (
            Span::default(),
            came_with.unwrap_or_else(unrecorded_traceparent),
        ),
        false => Span::request(came_with, || line.span_name()),
    };
    let context = Arc::new(Context {
        correlation_id,
        traceparent: Traceparent::new(traceparent),
        path: request.uri().path().to_owned(),
        key: line.key().map(|key| shortened(key).to_owned()),
        merchant: OnceLock::new(),
        wallet: OnceLock::new(),
        body_arrived: AtomicBool::new(false),
    });
    let mut attended = Attended {
        line: Some(line),
        context: Arc::clone(&context),
        span,
        started,
    };
    // Probes are answered whatever else waits.
    let place = is_probe.then_some(None).or_else(|| state.enter().map(Some));
    let refused = refused.or_else(|| place.is_none().then(problem::overloaded));
    let response = match refused {
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(Arc::clone(&context));
            // Whoever asks first has sent nothing yet.
            let asks_first = request.headers().contains_key(header::EXPECT);
            let (request, mut unread) = lend_body(request);
            let limit = state.limits().request_timeout;
            let of_it: Arc<dyn LogContext> = Arc::clone(&context) as _;
            let run = in_context(of_it, attended.span.within(next.run(request)));
            let run = AssertUnwindSafe(run).catch_unwind();
            match tokio::time::timeout(limit, run).await {
                Ok(Ok(response)) => {
                    if !asks_first && let Ok(body) = unread.try_recv() {
                        body::drain(body, state.limits().body_bytes_max).await;
                    }
                    response
                }
                Ok(Err(panic)) => Problem::internal(panic_message(&*panic)).into_response(),
                Err(_) => context.timeout_problem(&method, limit).into_response(),
            }
        }
    };
    drop(place);
    attended.answer(response)
}

/// What nginx logs of a request whose caller hung up before the answer.
const CALLER_GONE: u16 = 499;

/// A request that is to be told of, whether it comes to an answer or its caller hangs up: then it is
/// dropped where it stands, and what it handed to the committer goes on.
struct Attended {
    /// Until it is told.
    line: Option<Line>,
    context: Arc<Context>,
    span: Span,
    started: Instant,
}

impl Attended {
    fn answer(&mut self, response: Response) -> Response {
        match self.line.take() {
            Some(line) => line.answer(response, &self.context, &self.span, self.started),
            // It is answered once.
            None => response,
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let took = self.started.elapsed();
            line.told(CALLER_GONE, None, &self.context, &self.span, took);
        }
    }
}

fn lend_body(request: Request) -> (Request, oneshot::Receiver<Body>) {
    let (parts, body) = request.into_parts();
    let (lent, unread) = body::returnable(body);
    (Request::from_parts(parts, lent), unread)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panicked::words(panic).unwrap_or("without a message");
    format!("panicked: {words}")
}

/// What the log says of a request.
struct Line {
    method: Method,
    uri: Uri,
    path: Option<MatchedPath>,
    key: Option<HeaderValue>,
}

impl Line {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            path: request.extensions().get::<MatchedPath>().cloned(),
            key: request.headers().get(IDEMPOTENCY_KEY).cloned(),
        }
    }

    fn path(&self) -> &str {
        self.path.as_ref().map_or("", MatchedPath::as_str)
    }

    fn key(&self) -> Option<&str> {
        self.key.as_ref().and_then(|key| key.to_str().ok())
    }

    fn is_probe(&self) -> bool {
        matches!(self.path(), "/livez" | "/readyz" | "/startupz" | "/metrics")
    }

    /// The route, whose parameters are named and not given: spans of one route are counted together.
    fn span_name(&self) -> String {
        match self.path() {
            "" => self.method.to_string(),
            path => format!("{} {path}", self.method),
        }
    }

    fn answer(
        self,
        mut response: Response,
        context: &Context,
        span: &Span,
        started: Instant,
    ) -> Response {
        let problem = response.extensions_mut().remove::<Problem>();
        let correlation_id = context.correlation_id.as_str();
        let status = response.status().as_u16();
        self.told(status, problem.as_ref(), context, span, started.elapsed());
        if let Some(problem) = problem {
            response = problem.answer(self.uri.path(), correlation_id);
        }
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_bytes(correlation_id.as_bytes()) {
            headers.insert(CORRELATION_ID, value);
        }
        if let Ok(value) = HeaderValue::from_str(context.traceparent.as_str()) {
            headers.insert(TRACEPARENT, value);
        }
        response
    }

    /// To the log, the metrics and the trace.
    fn told(
        &self,
        status: u16,
        problem: Option<&Problem>,
        context: &Context,
        span: &Span,
        took: Duration,
    ) {
        // Whoever reads the line finds it counted.
        if !self.is_probe() {
            measured::answered(&self.method, self.path(), status, took);
        }
        self.log(status, problem, context, took);
        if span.is_recorded() {
            self.tell(span, status, problem, context.correlation_id.as_str());
        }
    }

    fn tell(&self, span: &Span, status: u16, problem: Option<&Problem>, correlation_id: &str) {
        span.set("http.request.method", self.method.to_string());
        span.set("http.route", self.path().to_owned());
        span.set("http.response.status_code", i64::from(status));
        span.set("aegis.correlation_id", correlation_id.to_owned());
        if let Some(ledger) = ledger_of(self.uri.path()) {
            span.set("aegis.ledger", ledger.to_owned());
        }
        if let Some(key) = self.key() {
            span.set("aegis.idempotency_key", shortened(key).to_owned());
        }
        if let Some(problem) = problem {
            span.set("aegis.code", problem.kind.code);
        }
        // A no of a rule is an answer, not a failure.
        if status >= 500 {
            span.fail("");
        }
    }

    fn log(&self, status: u16, problem: Option<&Problem>, context: &Context, took: Duration) {
        let correlation_id = context.correlation_id.as_str();
        let traceparent = context.traceparent.as_str();
        let path = self.path();
        let code = problem.map(|problem| problem.kind.code);
        let cause = problem.and_then(|problem| problem.cause.as_deref());
        // The level has to be known where the line is compiled.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    target: "aegis::request",
                    method = self.method.as_str(),
                    path,
                    status,
                    latency_ms = took.as_micros() as f64 / 1_000.0,
                    correlation_id,
                    trace_id = context.traceparent.trace_id(),
                    traceparent,
                    ledger = ledger_of(self.uri.path()),
                    merchant = context.merchant(),
                    wallet = context.wallet(),
                    idempotency_key = context.key.as_deref(),
                    code,
                    cause,
                    "request"
                )
            };
        }
        match status {
            // What is away or full is told once, by whoever watches it.
            500 => log!(error),
            _ if self.is_probe() => log!(debug),
            _ => log!(info),
        }
    }
}

/// The ledger that the path names, whether it exists or not.
pub(super) fn ledger_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v1/ledgers/")?;
    rest.split('/').next().map(shortened)
}

fn behind<'a>(path: &'a str, collection: &str) -> Option<&'a str> {
    let (_, rest) = path.split_once(collection)?;
    rest.split('/').next().map(shortened)
}

/// What a caller wrote may be long; the log takes as much as a well-formed one can have.
fn shortened(text: &str) -> &str {
    text.get(..255).unwrap_or(text)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state what must hold"
)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::sync::watch;
    use tower::ServiceExt;

    use super::*;
    use crate::api::{Limits, Readiness};
    use crate::engine::{self, Committer, Engine};
    use crate::postgres::Settings;

    /// Routes that need no database.
    fn routes() -> Router {
        let settings = Settings::from_url("postgres://nobody@127.0.0.1:1/nothing").unwrap();
        let engine = Engine::new(&settings, "topic");
        let (committer, _) = Committer::start(engine, engine::Limits::default());
        let (_, readiness) = watch::channel(Readiness::default());
        let limits = Limits {
            request_timeout: Duration::from_millis(50),
            ..Limits::default()
        };
        let state = ApiState::new(committer, settings.pool(), limits, readiness);
        Router::new()
            .route(
                "/panics",
                get(async || -> &'static str { panic!("of the inside") }),
            )
            .route("/hangs", get(std::future::pending::<()>))
            .layer(from_fn_with_state(state, attend))
    }

    async fn call(path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_tells_nothing_of_it() {
        let (status, body) = call("/panics").await;
        assert_eq!(status, 500);
        assert!(
            body.contains("\"code\":\"internal\"") && !body.contains("inside"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_answered() {
        let (status, body) = call("/hangs").await;
        assert_eq!(status, 504);
        assert!(body.contains("\"code\":\"timeout\""), "{body}");
    }
}
