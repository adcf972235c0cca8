//! Payouts: money out through a PSP.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::{IdSegment, InContext, InLedger, Key};
use super::fields::{Object, Wrong, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::request::Context;
use super::respond;
use super::schema::{Page, PayoutRequeryRequest, PayoutRequest, PayoutResolveRequest};
use super::state::database;
use super::values::Minor;
use crate::dlq::discard::Reason;
use crate::ledger::{Details, IdempotencyKey, Ledger};
use crate::merchant::MerchantId;
use crate::payouts::{NewPayout, Requested, Resolved, Verdict};
use crate::postgres::payouts::{self, Filter, Payout, PayoutStatus};
use crate::view::{PayoutAttemptView, PayoutDetailView, PayoutView};

/// How many calls are shown with a payout.
const CALLS_MAX: i64 = 100;

/// Ask for a payout
///
/// The funds are in transit and the PSP's reference is written when it is answered; it is sent right
/// afterwards. Look at it by its id, or listen to its events.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payouts", tag = "payouts",
    request_body = PayoutRequest,
    responses(
        (status = 201, description = "Asked for, now or before under this key.", body = PayoutView),
    ),
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    InContext(context): InContext,
    Caller(actor): Caller,
    Key(key): Key,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new = body.read(|object| wanted(object, key, actor.name, &context))?;
    if let Some(id) = &new.correlation_id {
        context.correlation_id.prefer(id);
    }
    let (payout, made_now) = match state.dispatch()?.request(&ledger, &new).await? {
        Requested::Now(payout) => (payout, true),
        Requested::Before(payout) => (payout, false),
        Requested::Rejected { code, detail } => return Err(Problem::of_rule(code, detail)),
    };
    let mut response = respond::made(made_now, &PayoutView::new(&ledger, &payout))?;
    let location = format!("/v1/ledgers/{}/payouts/{}", ledger.name, payout.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn wanted(
    object: &mut Object<'_, '_>,
    key: IdempotencyKey,
    requested_by: String,
    context: &Context,
) -> Option<NewPayout> {
    let merchant = object.required::<MerchantId>("merchant");
    if let Some(merchant) = &merchant {
        context.note_merchant(merchant);
    }
    let amount = object.required::<Minor>("amount");
    let currency = object.required("currency");
    let mut details = Details::default();
    if let Some(text) = object.optional::<Cow<'_, str>>("reference") {
        details = object.checked(details.with_reference(&text));
    }
    if let Some(text) = object.optional::<Cow<'_, str>>("correlation_id") {
        let label = details.reference.take();
        details = object.checked(Details::default().with_correlation_id(&text));
        details.reference = label;
    }
    let of_request = || context.correlation_id.as_str().to_owned();
    Some(NewPayout {
        merchant: merchant?,
        currency: currency?,
        amount: amount?.0,
        label: details.reference,
        key,
        run: None,
        correlation_id: Some(details.correlation_id.unwrap_or_else(of_request)),
        traceparent: Some(context.traceparent.as_str().to_owned()),
        requested_by,
    })
}

/// List payouts
///
/// The newest first.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payouts", tag = "payouts",
    params(
        ("merchant" = Option<String>, Query, description = "Only this merchant's."),
        ("status" = Option<String>, Query, description = "Only those that stand so."),
        ("run_key" = Option<String>, Query, description = "Only those of this run."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of payouts.", body = Page<PayoutView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let merchant = params.read("merchant", |text| {
        text.parse::<MerchantId>().map_err(Wrong::new)
    });
    let status = params.read("status", status);
    let run_key = params.read("run_key", |text| Ok(text.to_owned()));
    let limit = params.limit();
    let before = params.after(|position| position.parse::<Uuid>().ok());
    params.finish()?;
    let filter = Filter {
        merchant,
        status,
        run_key,
        before,
        limit: limit.saturating_add(1),
    };
    let rows = database!(state, |conn| payouts::list(conn, ledger.id, &filter));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(|payout| PayoutView::new(&ledger, &payout)))
}

fn status(name: &str) -> Result<PayoutStatus, Wrong> {
    PayoutStatus::from_name(name).ok_or_else(|| {
        let names = PayoutStatus::ALL.map(PayoutStatus::as_str).join(", ");
        Wrong::new(format!("is not a payout's status: write one of {names}"))
    })
}

/// Get a payout
///
/// With the calls to the PSP about it.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payouts/{id}", tag = "payouts",
    params(("id" = Uuid, Path, description = "The payout's id, which is also its reference at the PSP.")),
    responses((status = 200, description = "The payout as it stands.", body = PayoutDetailView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let payout = named(&state, &ledger, &id).await?;
    let id = payout.id;
    let calls = database!(state, |conn| payouts::attempts(
        conn, ledger.id, id, CALLS_MAX
    ));
    respond::ok(&PayoutDetailView {
        payout: PayoutView::new(&ledger, &payout),
        calls: calls.iter().map(PayoutAttemptView::from).collect(),
    })
}

async fn named(state: &ApiState, ledger: &Ledger, id: &str) -> Result<Payout, Problem> {
    let found = match id.parse::<Uuid>() {
        Ok(id) => database!(state, |conn| payouts::find(conn, ledger.id, id)),
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let shown = shown(id);
        let detail = format!("There is no payout {shown} in ledger {}.", ledger.name);
        Problem::new(kinds::PAYOUT_NOT_FOUND, detail)
    })
}

/// Ask the PSP about a payout
///
/// Whether that is due or not. The answer takes effect as a webhook would. One that is being sent at
/// this moment is answered as it stands.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payouts/{id}/requery", tag = "payouts",
    params(("id" = Uuid, Path, description = "The payout's id.")),
    request_body = PayoutRequeryRequest,
    responses((status = 200, description = "The payout as it stands then.", body = PayoutView)),
)]
pub(super) async fn requery(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    body.read(|_| Some(()))?;
    let payout = named(&state, &ledger, &id).await?;
    let payout = state.dispatch()?.requery(&ledger, payout.id).await?;
    let view = PayoutView::new(&ledger, &payout);
    // Asked again, the PSP may say something else.
    Ok(respond::key_stays_free(respond::ok(&view)?))
}

/// Decide on a payout
///
/// A person's word on how an open payout ended, with a reason, kept in the audit log. What the PSP
/// says against it later opens a discrepancy and moves nothing. The same word with the same reason
/// is answered as a repeat.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payouts/{id}/resolve", tag = "payouts",
    params(("id" = Uuid, Path, description = "The payout's id.")),
    request_body = PayoutResolveRequest,
    responses((status = 200, description = "The payout as it stands now.", body = PayoutView)),
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
    let payout = named(&state, &ledger, &id).await?;
    let (id, reason) = (payout.id, reason.as_str());
    let dispatch = state.dispatch()?;
    match dispatch
        .resolve(&ledger, id, verdict, reason, &actor)
        .await?
    {
        Resolved::Now(payout) => respond::ok(&PayoutView::new(&ledger, &payout)),
        Resolved::Before(payout) => Ok(respond::repeated(respond::ok(&PayoutView::new(
            &ledger, &payout,
        ))?)),
        Resolved::Rejected { code, detail } => Err(Problem::of_rule(code, detail)),
    }
}
