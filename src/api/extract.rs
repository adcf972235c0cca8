//! What handlers ask of a request's head.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::ApiState;
use super::fields::shown;
use super::kinds;
use super::problem::Problem;
use super::request::{Context, IDEMPOTENCY_KEY};
use crate::ledger::{IdempotencyKey, Ledger};
use crate::merchant::MerchantId;

/// The ledger that the path names.
pub(super) struct InLedger(pub Ledger);

impl FromRequestParts<ApiState> for InLedger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let name = path_segment(parts, state, "ledger").await?;
        state.ledger(&name).await.map(Self)
    }
}

/// The wallet that the path names, as text.
pub(super) struct WalletSegment(pub String);

impl FromRequestParts<ApiState> for WalletSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        path_segment(parts, state, "wallet").await.map(Self)
    }
}

/// The id that the path names, as text.
pub(super) struct IdSegment(pub String);

impl FromRequestParts<ApiState> for IdSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        path_segment(parts, state, "id").await.map(Self)
    }
}

/// The merchant that the path names.
pub(super) struct MerchantSegment(pub MerchantId);

impl FromRequestParts<ApiState> for MerchantSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let name = path_segment(parts, state, "merchant").await?;
        let missing = |_| {
            let shown = shown(&name);
            let detail = format!("There is no merchant {shown}.");
            Problem::new(kinds::MERCHANT_NOT_FOUND, detail)
        };
        name.parse().map(Self).map_err(missing)
    }
}

/// Whatever the path names, as text.
pub(super) struct ReferenceSegment(pub String);

impl FromRequestParts<ApiState> for ReferenceSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        path_segment(parts, state, "reference").await.map(Self)
    }
}

/// The PSP that the path names, as text.
pub(super) struct PspSegment(pub String);

impl FromRequestParts<ApiState> for PspSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        path_segment(parts, state, "psp").await.map(Self)
    }
}

/// The key that the path names, as text.
pub(super) struct KeySegment(pub String);

impl FromRequestParts<ApiState> for KeySegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        path_segment(parts, state, "key").await.map(Self)
    }
}

async fn path_segment(parts: &mut Parts, state: &ApiState, name: &str) -> Result<String, Problem> {
    let segments = RawPathParams::from_request_parts(parts, state)
        .await
        // Percent-encoding that is no UTF-8.
        .map_err(|_| Problem::new(kinds::NOT_FOUND, "The path can't be read as UTF-8."))?;
    segments
        .iter()
        .find_map(|(segment, value)| (segment == name).then(|| value.to_owned()))
        .ok_or_else(|| Problem::internal(format!("the route has no segment {name}")))
}

/// The key under which a request takes effect once.
pub(super) struct Key(pub IdempotencyKey);

impl FromRequestParts<ApiState> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Err(Problem::new(
                kinds::KEY_MISSING,
                "Send the header Idempotency-Key: 1 to 255 printable characters, such as a UUID, \
                 new for every new request and the same for a repeat.",
            ));
        };
        let invalid =
            |problem: &str| Problem::new(kinds::KEY_INVALID, format!("Idempotency-Key {problem}."));
        if values.next().is_some() {
            return Err(invalid("stands twice: write it once"));
        }
        std::str::from_utf8(value.as_bytes())
            .map_err(|_| invalid("is not UTF-8: write 1 to 255 printable characters"))?
            .parse()
            .map(Self)
            .map_err(|problem: String| invalid(&problem))
    }
}

/// What `request::attend` knows of the request.
pub(super) struct InContext(pub Arc<Context>);

impl FromRequestParts<ApiState> for InContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Arc<Context>>().cloned();
        context
            .map(Self)
            .ok_or_else(|| Problem::internal("the request has no context"))
    }
}
