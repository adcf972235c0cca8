//! Webhooks of PSPs. What is answered with 200 is in the database.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::ApiState;
use super::body::RawBody;
use super::extract::PspSegment;
use super::fields::shown;
use super::kinds;
use super::problem::Problem;
use super::respond;
use super::schema::WebhookTaken;
use crate::payments::webhook::Received;
use crate::psp::{Psp as _, WebhookError, paystack};

/// Take a webhook in
///
/// The PSP signs the body: Paystack in `x-paystack-signature`. It is stored before it is answered, and
/// takes effect once, however often it comes; what does not agree with the ledger is answered with 200
/// all the same, and becomes a discrepancy.
#[utoipa::path(post, path = "/v1/webhooks/{psp}", tag = "webhooks",
    params(("psp" = String, Path, description = "The PSP's name.", example = "paystack")),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, description = "Stored, now or before.", body = WebhookTaken)),
)]
pub(super) async fn receive(
    State(state): State<ApiState>,
    PspSegment(psp): PspSegment,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    if psp != paystack::NAME {
        let shown = shown(&psp);
        let detail = format!("There is no PSP {shown} here: write {}.", paystack::NAME);
        return Err(Problem::new(kinds::PSP_NOT_FOUND, detail));
    }
    let desk = state.desk()?;
    let header = headers.get(desk.psp().signature_header());
    let signature = header.and_then(|value| value.to_str().ok());
    let status = match desk.receive(&body, signature).await? {
        Received::Stored => "stored",
        Received::Before => "repeated",
        Received::Unauthentic(error) => return Err(unauthentic(&error)),
    };
    respond::ok(&WebhookTaken { status })
}

/// Nothing of what came is repeated, neither to the caller nor to the log.
fn unauthentic(error: &WebhookError) -> Problem {
    match error {
        WebhookError::Unsigned => Problem::new(
            kinds::SIGNATURE_MISSING,
            "The webhook carries no signature. Nothing was kept of it.",
        ),
        _ => Problem::new(
            kinds::SIGNATURE_INVALID,
            "The webhook's signature is not the PSP's: it was not sent by it, was changed on its \
             way, or the secret key here is another one. Nothing was kept of it.",
        ),
    }
}
