//! Answers in JSON.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;

pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An answer of 200.
pub(super) fn ok(body: &impl Serialize) -> Result<Response, Problem> {
    json(StatusCode::OK, body)
}

/// An answer of 201 where the thing was made now, or of 200 that says it was there before.
pub(super) fn made(now: bool, body: &impl Serialize) -> Result<Response, Problem> {
    if now {
        return json(StatusCode::CREATED, body);
    }
    let mut response = ok(body)?;
    response
        .headers_mut()
        .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Problem::internal(format!("the answer can't be written: {error}")))?;
    let content_type = HeaderValue::from_static("application/json");
    Ok((status, [(header::CONTENT_TYPE, content_type)], body).into_response())
}
