//! Refunds: money back to customers.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::{IdSegment, InContext, InLedger, Key};
use super::fields::{Object, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{Page, RefundRequest, RefundResolveRequest};
use super::state::database;
use super::values::Minor;
use crate::dlq::discard::Reason;
use crate::ledger::Ledger;
use crate::postgres::payments::{self, Payment};
use crate::postgres::refunds::{self, Filter, Refund};
use crate::refunds::{CustomerNote, NewRefund, Requested, Resolved, Verdict};
use crate::view::RefundView;

/// Refund a payment
///
/// All that is left of it, or a part. The money is in transit when it is answered, and the PSP is
/// called right afterwards: look at the refund by its id, or listen to its events.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payments/{id}/refunds", tag = "refunds",
    params(("id" = Uuid, Path, description = "The payment's id.")),
    request_body = RefundRequest,
    responses(
        (status = 201, description = "Asked for, now or before under this key.", body = RefundView),
    ),
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    InContext(context): InContext,
    Caller(actor): Caller,
    Key(key): Key,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (amount, note) = body.read(|object| Some(wanted(object)))?;
    let payment = payment(&state, &ledger, &id).await?;
    if let Some(id) = &payment.correlation_id {
        context.correlation_id.prefer(id);
    }
    let of_request = || context.correlation_id.as_str().to_owned();
    let new = NewRefund {
        payment_id: payment.id,
        amount: amount.map(|minor| minor.0),
        customer_note: note.map(|note| note.as_str().to_owned()),
        key,
        correlation_id: Some(payment.correlation_id.unwrap_or_else(of_request)),
        traceparent: Some(context.traceparent.as_str().to_owned()),
        requested_by: actor.name,
    };
    let (refund, made_now) = match state.refunds()?.request(&ledger, &new).await? {
        Requested::Now(refund) => (refund, true),
        Requested::Before(refund) => (refund, false),
        Requested::Rejected { code, detail } => return Err(Problem::of_rule(code, detail)),
    };
    let mut response = respond::made(made_now, &RefundView::new(&ledger, &refund))?;
    let location = format!("/v1/ledgers/{}/refunds/{}", ledger.name, refund.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn wanted(object: &mut Object<'_, '_>) -> (Option<Minor>, Option<CustomerNote>) {
    let amount = object.optional::<Minor>("amount");
    (amount, object.optional::<CustomerNote>("customer_note"))
}

async fn payment(state: &ApiState, ledger: &Ledger, id: &str) -> Result<Payment, Problem> {
    let found = match id.parse::<Uuid>() {
        Ok(id) => database!(state, |conn| payments::find(conn, ledger.id, id)),
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let shown = shown(id);
        let detail = format!("There is no payment {shown} in ledger {}.", ledger.name);
        Problem::new(kinds::PAYMENT_NOT_FOUND, detail)
    })
}

/// List a payment's refunds
///
/// The newest first, with those that were made at the PSP and the chargebacks.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payments/{id}/refunds", tag = "refunds",
    params(
        ("id" = Uuid, Path, description = "The payment's id."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of refunds.", body = Page<RefundView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.limit();
    let before = params.after(|position| position.parse::<Uuid>().ok());
    params.finish()?;
    let filter = Filter {
        payment: Some(payment(&state, &ledger, &id).await?.id),
        before,
        limit: limit.saturating_add(1),
        ..Filter::default()
    };
    let rows = database!(state, |conn| refunds::list(conn, ledger.id, &filter));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(|refund| RefundView::new(&ledger, &refund)))
}

/// Get a refund
///
/// Or a chargeback.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/refunds/{id}", tag = "refunds",
    params(("id" = Uuid, Path, description = "The refund's id.")),
    responses((status = 200, description = "The refund as it stands.", body = RefundView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let refund = named(&state, &ledger, &id).await?;
    respond::ok(&RefundView::new(&ledger, &refund))
}

async fn named(state: &ApiState, ledger: &Ledger, id: &str) -> Result<Refund, Problem> {
    let found = match id.parse::<Uuid>() {
        Ok(id) => database!(state, |conn| refunds::find(conn, ledger.id, id)),
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let shown = shown(id);
        let detail = format!("There is no refund {shown} in ledger {}.", ledger.name);
        Problem::new(kinds::REFUND_NOT_FOUND, detail)
    })
}

/// Decide on a refund
///
/// A person's word on how an open refund ended, with a reason, kept in the audit log. What the PSP
/// says against it later opens a discrepancy and moves nothing. The same word with the same reason
/// is answered as a repeat.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/refunds/{id}/resolve", tag = "refunds",
    params(("id" = Uuid, Path, description = "The refund's id.")),
    request_body = RefundResolveRequest,
    responses((status = 200, description = "The refund as it stands now.", body = RefundView)),
)]
pub(super) async fn resolve(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (verdict, reason) = body.read(|object| {
        let verdict = object.required::<Verdict>("as");
        let reason = object.required::<Reason>("reason");
        Some((verdict?, reason?))
    })?;
    let id = named(&state, &ledger, &id).await?.id;
    let desk = state.refunds()?;
    let resolved = desk.resolve(&ledger, id, verdict, reason.as_str(), &actor);
    match resolved.await? {
        Resolved::Now(refund) => respond::ok(&RefundView::new(&ledger, &refund)),
        Resolved::Before(refund) => Ok(respond::repeated(respond::ok(&RefundView::new(
            &ledger, &refund,
        ))?)),
        Resolved::Rejected { code, detail } => Err(Problem::of_rule(code, detail)),
    }
}
