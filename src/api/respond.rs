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

/// An answer of 201, which says so where the thing was there before: whoever repeats a request
/// wants to read what the first was answered.
pub(super) fn made(now: bool, body: &impl Serialize) -> Result<Response, Problem> {
    let response = json(StatusCode::CREATED, body)?;
    Ok(if now { response } else { repeated(response) })
}

/// Says that the request had taken effect before.
pub(super) fn repeated(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Among an answer's extensions: although it is one of success, the request left something undone
/// that the same request may do later. Its key stays free.
#[derive(Clone, Copy)]
pub(super) struct KeyStaysFree;

/// Marks the answer with [`KeyStaysFree`].
pub(super) fn key_stays_free(mut response: Response) -> Response {
    response.extensions_mut().insert(KeyStaysFree);
    response
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Problem::internal(format!("the answer can't be written: {error}")))?;
    let content_type = HeaderValue::from_static("application/json");
    Ok((status, [(header::CONTENT_TYPE, content_type)], body).into_response())
}
