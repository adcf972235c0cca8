//! Takes a request's JSON body in, up to the limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::ApiState;
use super::fields::{Object, Problems};
use super::kinds;
use super::problem::Problem;
use super::request::Context;

/// How much of a refused body is read and dropped, in multiples of the limit.
const DRAIN_LIMITS: usize = 8;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// The bytes of a body that says it is JSON. Clones share them.
#[derive(Clone)]
pub(super) struct JsonBody(Bytes);

impl JsonBody {
    /// Takes it in, up to the limit.
    pub(super) async fn take(parts: &Parts, body: Body, limit: usize) -> Result<Self, Problem> {
        check_type(&parts.headers)?;
        take(parts, body, limit).await.map(Self)
    }

    /// As it came.
    pub(super) fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Reads the body as an object. Where anything was wrong, the answer names all of it.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&mut Object<'_, '_>) -> Option<T>,
    ) -> Result<T, Problem> {
        let text = std::str::from_utf8(&self.0).map_err(|error| {
            let at = error.valid_up_to();
            let detail =
                format!("The body is not UTF-8: the byte at {at}, counted from 0, is not.");
            Problem::new(kinds::JSON_INVALID, detail)
        })?;
        let mut problems = Problems::default();
        let value = Object::of_body(text, &mut problems)?.and_then(|mut object| {
            let value = read(&mut object);
            object.finish();
            value
        });
        match (problems.into_problem(), value) {
            (Some(problem), _) => Err(problem),
            (None, Some(value)) => Ok(value),
            (None, None) => Err(Problem::internal(
                "a body gave neither a value nor a problem",
            )),
        }
    }
}

/// Bytes that may mean anything, such as those that a signature is over.
pub(super) struct RawBody(pub Bytes);

/// Longer than any webhook.
const RAW_BYTES_MAX: usize = 1024 * 1024;

impl FromRequest<ApiState> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let limit = state.limits().body_bytes_max.min(RAW_BYTES_MAX);
        take(&parts, body, limit).await.map(Self)
    }
}

async fn take(parts: &Parts, body: Body, limit: usize) -> Result<Bytes, Problem> {
    if let Some(length) = content_length(&parts.headers)
        && length > limit
    {
        return Err(too_large(limit));
    }
    let bytes = collect(body, limit).await?;
    if let Some(context) = parts.extensions.get::<Arc<Context>>() {
        context.note_body_arrived();
    }
    Ok(bytes.into())
}

impl FromRequest<ApiState> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        // Whoever stands before the handler may have taken it in already.
        match parts.extensions.remove::<Self>() {
            Some(taken) => Ok(taken),
            None => Self::take(&parts, body, state.limits().body_bytes_max).await,
        }
    }
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            let detail = format!("The body did not arrive whole: {error}.");
            Problem::new(kinds::BODY_UNREADABLE, detail)
        })?;
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Gives a body that was not read to its end back, so that it can be drained.
pub(super) fn returnable(body: Body) -> (Body, oneshot::Receiver<Body>) {
    let (back, returned) = oneshot::channel();
    let lent = Lent {
        body,
        back: Some(back),
    };
    (Body::new(lent), returned)
}

struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.body.is_end_stream()
        {
            // Where nobody waits for it, it is dropped.
            drop(back.send(std::mem::take(&mut self.body)));
        }
    }
}

/// Reads what is left of a refused body and drops it, up to some multiple of the limit: a caller
/// that is still sending would see a cut connection instead of the answer.
pub(super) async fn drain(body: Body, limit: usize) {
    let bytes_max = limit.saturating_mul(DRAIN_LIMITS);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return;
    }
    let mut stream = body.into_data_stream();
    let drop_all = async {
        let mut bytes: usize = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            bytes = bytes.saturating_add(chunk.len());
            if bytes > bytes_max {
                return;
            }
        }
    };
    // Whoever sends slower sees the connection cut.
    drop(tokio::time::timeout(DRAIN_TIME_MAX, drop_all).await);
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("The body has more than {limit} bytes: send less at once.");
    Problem::new(kinds::BODY_TOO_LARGE, detail)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail: &'static str| Problem::new(kinds::CONTENT_TYPE_UNSUPPORTED, detail);
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(unsupported(
            "Send the body with Content-Type: application/json.",
        ));
    }
    let is_plain = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !is_plain {
        return Err(unsupported("Send the body without a Content-Encoding."));
    }
    Ok(())
}
