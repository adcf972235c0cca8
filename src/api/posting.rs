//! From a body to a command, and from its outcome to an answer.

use std::borrow::Cow;

use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::ApiState;
use super::fields::Object;
use super::problem::Problem;
use super::request::Context;
use super::respond;
use crate::engine::Request;
use crate::ledger::{Command, Details, Ledger, Metadata, Outcome};
use crate::view::TransactionView;

/// Reads what may stand beside the legs.
pub(super) fn details(object: &mut Object<'_, '_>, context: &Context) -> Details {
    let mut details = Details {
        traceparent: Some(context.traceparent.as_str().to_owned()),
        ..Details::default()
    };
    if let Some(text) = object.optional::<Cow<'_, str>>("reference") {
        details = object.checked(details.with_reference(&text));
    }
    if let Some(text) = object.optional::<Cow<'_, str>>("correlation_id") {
        details = object.checked(details.with_correlation_id(&text));
    }
    if let Some(text) = object.optional::<Cow<'_, str>>("effective_at") {
        details = object.checked(details.with_effective_at(&text));
    }
    details.metadata = object.optional::<Metadata>("metadata");
    if details.correlation_id.is_none() {
        details.correlation_id = Some(context.correlation_id.as_str().to_owned());
    }
    details
}

/// Posts one command. Where it had taken effect before, that is answered, and the header says so.
pub(super) async fn post(
    state: &ApiState,
    ledger: &Ledger,
    context: &Context,
    command: Command,
) -> Result<Response, Problem> {
    if let Some(id) = &command.details.correlation_id {
        context.correlation_id.prefer(id);
    }
    let outcomes = state
        .committer()
        .post(ledger, Request::one(command))
        .await?;
    let (receipt, now) = match outcomes.into_iter().next() {
        Some(Outcome::Posted(receipt)) => (receipt, true),
        Some(Outcome::Replayed(receipt)) => (receipt, false),
        Some(Outcome::Rejected(rejection)) => return Err(rejection.into()),
        None => return Err(Problem::internal("the engine answered without an outcome")),
    };
    let view = TransactionView::new(ledger, &receipt, "posted");
    let mut response = respond::made(now, &view)?;
    let location = format!(
        "/v1/ledgers/{}/transactions/{}",
        ledger.name, receipt.transaction_id
    );
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
