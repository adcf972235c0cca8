//! Payments: money in through a PSP.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::ApiState;
use super::body::JsonBody;
use super::extract::{IdSegment, InContext, InLedger, Key};
use super::fields::{Object, Wrong};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::request::Context;
use super::respond;
use super::schema::{Page, PaymentRequest, RequeryRequest};
use super::state::database;
use super::values::Minor;
use crate::ledger::{Details, IdempotencyKey, Ledger};
use crate::merchant::MerchantId;
use crate::payments::{Created, NewPayment};
use crate::postgres::payments::{self, Filter, Payment, PaymentStatus};
use crate::psp::paystack;
use crate::view::PaymentView;

/// Make a payment
///
/// It is written first, and then opened at the PSP, where its customer pays: `checkout_url`. Where
/// the PSP takes long or fails, it is answered as `created`, without `checkout_url`, and opened later;
/// the same request under the same key tells how it stands.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payments", tag = "payments",
    request_body = PaymentRequest,
    responses(
        (status = 201, description = "Made, now or before under this key.", body = PaymentView),
    ),
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    InContext(context): InContext,
    Key(key): Key,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new = body.read(|object| wanted(object, key, &context))?;
    if let Some(id) = &new.correlation_id {
        context.correlation_id.prefer(id);
    }
    let (payment, made_now) = match state.desk()?.create(&ledger, &new).await? {
        Created::Now(payment) => (payment, true),
        Created::Before(payment) => (payment, false),
        Created::Rejected(refused) => return Err(refused.into()),
    };
    let mut response = respond::made(made_now, &PaymentView::new(&ledger, &payment))?;
    let location = format!("/v1/ledgers/{}/payments/{}", ledger.name, payment.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(match payment.status {
        // Whoever asks again wants to know where the customer pays.
        PaymentStatus::Created => respond::key_stays_free(response),
        _ => response,
    })
}

fn wanted(
    object: &mut Object<'_, '_>,
    key: IdempotencyKey,
    context: &Context,
) -> Option<NewPayment> {
    let merchant = object.required("merchant");
    if let Some(merchant) = &merchant {
        context.note_merchant(merchant);
    }
    let amount = object.required::<Minor>("amount");
    let currency = object.required("currency");
    let email = object.required("email");
    let reference = object.optional("reference");
    let callback_url = object.optional("callback_url");
    let mut details = Details::default();
    if let Some(text) = object.optional::<std::borrow::Cow<'_, str>>("correlation_id") {
        details = object.checked(details.with_correlation_id(&text));
    }
    let metadata = object.optional("metadata");
    let of_request = || context.correlation_id.as_str().to_owned();
    Some(NewPayment {
        key,
        merchant: merchant?,
        amount: amount?.0,
        currency: currency?,
        email: email?,
        reference,
        callback_url,
        metadata,
        correlation_id: Some(details.correlation_id.unwrap_or_else(of_request)),
        traceparent: Some(context.traceparent.as_str().to_owned()),
    })
}

/// List payments
///
/// In the order in which they were asked for.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payments", tag = "payments",
    params(
        ("merchant" = Option<String>, Query, description = "Only this merchant's."),
        ("status" = Option<String>, Query, description = "Only those that stand so."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of payments.", body = Page<PaymentView>)),
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
    let limit = params.limit();
    let after = params.after(|position| position.parse::<Uuid>().ok());
    params.finish()?;
    let filter = Filter {
        merchant,
        status,
        after,
        limit: limit.saturating_add(1),
    };
    let rows = database!(state, |conn| payments::list(conn, ledger.id, &filter));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(|payment| PaymentView::new(&ledger, &payment)))
}

fn status(name: &str) -> Result<PaymentStatus, Wrong> {
    PaymentStatus::from_name(name).ok_or_else(|| {
        let names = PaymentStatus::ALL.map(PaymentStatus::as_str).join(", ");
        Wrong::new(format!("is not a payment's status: write one of {names}"))
    })
}

/// Get a payment
///
/// By its id or its reference.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payments/{id}", tag = "payments",
    params(("id" = String, Path, description = "Id or reference.", example = "order-1001")),
    responses((status = 200, description = "The payment as it stands.", body = PaymentView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(name): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let payment = named(&state, &ledger, &name).await?;
    respond::ok(&PaymentView::new(&ledger, &payment))
}

async fn named(state: &ApiState, ledger: &Ledger, name: &str) -> Result<Payment, Problem> {
    let mut found = match name.parse::<Uuid>() {
        Ok(id) => database!(state, |conn| payments::find(conn, ledger.id, id)),
        Err(_) => None,
    };
    if found.is_none() {
        found = database!(state, |conn| payments::find_by_reference(
            conn,
            ledger.id,
            paystack::NAME,
            name
        ));
    }
    found.ok_or_else(|| not_found(ledger, name))
}

fn not_found(ledger: &Ledger, name: &str) -> Problem {
    let shown: String = name.chars().take(100).collect();
    let detail = format!("There is no payment {shown} in ledger {}.", ledger.name);
    Problem::new(kinds::PAYMENT_NOT_FOUND, detail)
}

/// Ask the PSP about a payment
///
/// The answer takes effect as a webhook would: one that was paid is credited, however it stood
/// before.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payments/{id}/requery", tag = "payments",
    params(("id" = String, Path, description = "Id or reference.", example = "order-1001")),
    request_body = RequeryRequest,
    responses((status = 200, description = "The payment as it stands then.", body = PaymentView)),
)]
pub(super) async fn requery(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(name): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    body.read(|_| Some(()))?;
    let desk = state.desk()?;
    let payment = named(&state, &ledger, &name).await?;
    let payment = desk.requery(&ledger, payment.id).await?;
    let payment = payment.ok_or_else(|| not_found(&ledger, &name))?;
    let view = PaymentView::new(&ledger, &payment);
    // Asked again, the PSP may say something else.
    Ok(respond::key_stays_free(respond::ok(&view)?))
}
