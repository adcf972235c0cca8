//! What goes around every handler that writes: the same request under the same key takes effect
//! once.
//!
//! In front of the engine stand the records of `cache`, where there is a Redis: a request that was
//! answered is answered again from there, one that is under way is told to wait. They save work and
//! decide nothing. What they don't know goes to the handler, and PostgreSQL gives the same answer.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};

use super::ApiState;
use super::body::JsonBody;
use super::extract::{InContext, Key};
use super::fingerprint;
use super::kinds::{self, Kind};
use super::measured;
use super::problem::Problem;
use super::request::{Context, ledger_of};
use super::respond;
use crate::cache::idempotency::{Answer, Asked, Begun, Mark};
use crate::ledger::RejectionCode;

/// Room for the answer to the largest batch, all posted. A longer one is not kept.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The route of a handler that writes. Each wants an `Idempotency-Key`.
pub(super) fn writing<H, T>(state: &ApiState, handler: H) -> MethodRouter<ApiState>
where
    H: Handler<T, ApiState>,
    T: 'static,
{
    post(handler).route_layer(from_fn_with_state(state.clone(), once))
}

async fn once(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    match answer(&state, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(state: &ApiState, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let Key(key) = Key::from_request_parts(&mut parts, state).await?;
    let Some(records) = state.records() else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let InContext(context) = InContext::from_request_parts(&mut parts, state).await?;
    let body = JsonBody::take(&parts, body, state.limits().body_bytes_max).await?;
    let fingerprint = fingerprint::of(&parts.method, &context.path, body.bytes()).await;
    parts.extensions.insert(body);
    let request = Request::from_parts(parts, Body::empty());
    let Some(fingerprint) = fingerprint else {
        // The handler says what is wrong with it.
        return Ok(next.run(request).await);
    };
    let asked = Asked {
        // There are none yet.
        merchant: None,
        ledger: ledger_of(&context.path),
        key: key.as_str(),
        request_hash: &fingerprint,
    };
    let begun = records.begin(asked).await;
    measured::looked_up(match &begun {
        Begun::Ours(_) => "new",
        Begun::Answered(_) => "answered",
        Begun::InFlight => "in_flight",
        Begun::Reused => "reused",
        Begun::Unknown => "unknown",
    });
    match begun {
        Begun::Ours(mark) => {
            let response = tokio::select! {
                response = next.run(request) => response,
                never = mark.prolong() => match never {},
            };
            Ok(kept(response, mark, &context).await)
        }
        Begun::Answered(answer) => Ok(replayed(answer, &context)),
        Begun::InFlight => Err(in_flight()),
        Begun::Reused => Err(reused()),
        Begun::Unknown => Ok(next.run(request).await),
    }
}

/// Puts the answer where repeats find it, if it is one for them.
async fn kept(response: Response, mark: Mark, context: &Context) -> Response {
    let stays_free = response.extensions().get::<respond::KeyStaysFree>();
    let length = response.body().size_hint().exact();
    let fits = length.is_some_and(|length| length <= ANSWER_BYTES_MAX as u64);
    if !response.status().is_success() || stays_free.is_some() || !fits {
        mark.taken_back().await;
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_BYTES_MAX).await else {
        return Problem::internal("an answer of known length has another").into_response();
    };
    let text = |name| {
        let value = parts.headers.get(name);
        value.and_then(|value: &HeaderValue| value.to_str().ok())
    };
    mark.answered(Answer {
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE).unwrap_or_default().to_owned(),
        location: text(header::LOCATION).map(str::to_owned),
        correlation_id: context.correlation_id.of_body().map(str::to_owned),
        body: body.to_vec(),
    })
    .await;
    Response::from_parts(parts, Body::from(body))
}

fn replayed(answer: Answer, context: &Context) -> Response {
    if let Some(id) = &answer.correlation_id {
        context.correlation_id.prefer(id);
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = (status, Body::from(answer.body)).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, Some(answer.content_type)),
        (header::LOCATION, answer.location),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    respond::repeated(response)
}

fn in_flight() -> Problem {
    let detail = "A request with this Idempotency-Key is under way. Send it again in a moment: the \
                  answer tells what came of it.";
    Problem::new(kinds::KEY_IN_FLIGHT, detail).retry_after(1)
}

fn reused() -> Problem {
    let kind = Kind::of_rejection(RejectionCode::IdempotencyKeyReused);
    let detail = "The Idempotency-Key was used for another request: write a new one.";
    Problem::new(kind, detail)
}
