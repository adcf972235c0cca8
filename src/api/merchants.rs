//! Merchants: made, looked at, agreed with, frozen.

use axum::extract::State;
use axum::response::Response;
use time::OffsetDateTime;

use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::{InLedger, MerchantSegment};
use super::fields::Object;
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{MerchantRequest, Page, ReasonRequest, TermsHistory, TermsRequest};
use super::state::database;
use super::values::RawJson;
use crate::dlq::discard::Reason;
use crate::ledger::{Currency, Ledger};
use crate::merchant::{MerchantId, MerchantName, MerchantStatus};
use crate::onboarding::{self, Agreed, Call, Made, NewMerchant};
use crate::postgres::audit::Actor;
use crate::postgres::merchants;
use crate::terms::Terms;
use crate::view::{AgreedTermsView, MerchantDetailView, MerchantView};

/// Make a merchant
///
/// With its wallets in the currency: `merchant:<id>:pending`, `available`, `reserve` and `owed`. The
/// same merchant with the same terms is answered as a repeat, as it stands.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/merchants", tag = "merchants",
    request_body = MerchantRequest,
    responses((status = 201, description = "Made, now or before.", body = MerchantView)),
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new = body.read(wanted)?;
    let made = onboarding::create(state.pool(), call(&state, &ledger, &actor), &new).await?;
    let (standing, made_now) = match made {
        Made::Now(standing) => (standing, true),
        Made::Before(standing) => (standing, false),
        Made::Other(standing) => {
            let detail = format!(
                "The merchant {} exists, as {:?} with {} of terms: agree on others under \
                 /merchants/{}/terms.",
                new.id,
                standing.merchant.name,
                match standing.terms.len() {
                    1 => "one currency".to_owned(),
                    many => format!("{many} currencies"),
                },
                new.id
            );
            return Err(Problem::new(kinds::MERCHANT_EXISTS, detail));
        }
    };
    let view = MerchantView::new(&ledger, &standing.merchant, &standing.terms);
    respond::made(made_now, &view)
}

fn wanted(object: &mut Object<'_, '_>) -> Option<NewMerchant> {
    let id = object.required("id");
    let name = object.required::<MerchantName>("name");
    let currency = object.required("currency");
    let terms = terms(object);
    Some(NewMerchant {
        id: id?,
        name: name?.into(),
        currency: currency?,
        terms: terms?,
    })
}

fn terms(object: &mut Object<'_, '_>) -> Option<Terms> {
    let RawJson(json) = object.required::<RawJson<'_>>("terms")?;
    match Terms::read_at("terms", json) {
        Ok(terms) => Some(terms),
        Err(invalid) => {
            for problem in invalid.problems {
                object.wrong(&problem.field, problem.problem);
            }
            None
        }
    }
}

fn call<'a>(state: &'a ApiState, ledger: &'a Ledger, actor: &'a Actor) -> Call<'a> {
    Call {
        office: state.office(),
        ledger,
        actor,
        now: OffsetDateTime::now_utc(),
    }
}

/// List merchants
///
/// In order of their ids.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/merchants", tag = "merchants",
    params(("limit" = Option<i64>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page of merchants.", body = Page<MerchantView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.limit();
    let after: Option<MerchantId> = params.after(|position| position.parse().ok());
    params.finish()?;
    let rows = database!(state, |conn| merchants::list(
        conn,
        ledger.id,
        after.as_ref(),
        limit.saturating_add(1)
    ));
    let page = Page::cut(rows, limit, |last| last.id.clone());
    let ids: Vec<&MerchantId> = page.items.iter().map(|merchant| &merchant.id).collect();
    let terms = database!(state, |conn| merchants::terms_in_force_of(
        conn, ledger.id, &ids
    ));
    respond::ok(&page.map(|merchant| {
        let terms = terms.get(&merchant.id).map_or(&[][..], Vec::as_slice);
        MerchantView::new(&ledger, &merchant, terms)
    }))
}

/// Get a merchant
///
/// With the terms in force in each of its currencies, and its wallets.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/merchants/{merchant}", tag = "merchants",
    responses((status = 200, description = "The merchant.", body = MerchantDetailView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    MerchantSegment(id): MerchantSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let merchant = view(&state, &ledger, &id).await?;
    let wallets = database!(state, |conn| onboarding::wallets_of(conn, &ledger, &id));
    respond::ok(&MerchantDetailView::new(&ledger, merchant, &wallets))
}

async fn view(state: &ApiState, ledger: &Ledger, id: &MerchantId) -> Result<MerchantView, Problem> {
    let found = database!(state, |conn| onboarding::read(conn, ledger, id));
    let standing = found.ok_or_else(|| missing(ledger, id))?;
    let view = MerchantView::new(ledger, &standing.merchant, &standing.terms);
    Ok(view)
}

fn missing(ledger: &Ledger, id: &MerchantId) -> Problem {
    let detail = format!("There is no merchant {id} in ledger {}.", ledger.name);
    Problem::new(kinds::MERCHANT_NOT_FOUND, detail)
}

/// Agree on terms
///
/// For payments to come; those that were made keep theirs. Terms that are in force already are no
/// new version. The first terms in a currency make the wallets for it.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/merchants/{merchant}/terms", tag = "merchants",
    request_body = TermsRequest,
    responses((status = 201, description = "In force, from now on or before.", body = AgreedTermsView)),
)]
pub(super) async fn agree(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    MerchantSegment(id): MerchantSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (currency, terms) = body.read(|object| {
        let currency = object.required::<Currency>("currency");
        let terms = terms(object);
        Some((currency?, terms?))
    })?;
    let agreed = onboarding::agree(
        state.pool(),
        call(&state, &ledger, &actor),
        &id,
        currency,
        &terms,
    )
    .await?;
    match agreed {
        Agreed::Now(agreed) => respond::made(true, &AgreedTermsView::from(&agreed)),
        Agreed::Before(agreed) => respond::made(false, &AgreedTermsView::from(&agreed)),
        Agreed::BelowFloor {
            address,
            balance,
            floor,
        } => {
            let detail = format!(
                "{address} stands at {balance} {currency}, and the terms would let it fall to \
                 {floor} only: wait until it has recovered, or allow more."
            );
            Err(Problem::new(kinds::BELOW_FLOOR, detail))
        }
        Agreed::NoMerchant => Err(missing(&ledger, &id)),
    }
}

/// List a merchant's terms
///
/// All versions in a currency, the newest first.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/merchants/{merchant}/terms", tag = "merchants",
    params(("currency" = String, Query, description = "Of this currency.")),
    responses((status = 200, description = "The versions.", body = TermsHistory)),
)]
pub(super) async fn history(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    MerchantSegment(id): MerchantSegment,
    mut params: Params,
) -> Result<Response, Problem> {
    let currency = params.currency();
    if currency.is_none() {
        params.wrong(
            "currency",
            "is missing: write ?currency= with a code such as NGN",
        );
    }
    params.finish()?;
    let currency = currency.ok_or_else(|| Problem::internal("a parameter is gone"))?;
    if database!(state, |conn| merchants::find(conn, ledger.id, &id)).is_none() {
        return Err(missing(&ledger, &id));
    }
    let versions = database!(state, |conn| merchants::terms_history(
        conn, ledger.id, &id, currency
    ));
    let items = versions.iter().map(AgreedTermsView::from).collect();
    respond::ok(&TermsHistory { items })
}

/// Freeze a merchant
///
/// It takes no new payment and is not paid out. What was paid is credited and settled all the same.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/merchants/{merchant}/freeze", tag = "merchants",
    request_body = ReasonRequest,
    responses((status = 200, description = "Frozen, now or before.", body = MerchantView)),
)]
pub(super) async fn freeze(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    MerchantSegment(id): MerchantSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    set(&state, &ledger, &actor, &id, MerchantStatus::Frozen, &body).await
}

/// Let a frozen merchant go on
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/merchants/{merchant}/unfreeze", tag = "merchants",
    request_body = ReasonRequest,
    responses((status = 200, description = "Active, now or before.", body = MerchantView)),
)]
pub(super) async fn unfreeze(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    MerchantSegment(id): MerchantSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    set(&state, &ledger, &actor, &id, MerchantStatus::Active, &body).await
}

async fn set(
    state: &ApiState,
    ledger: &Ledger,
    actor: &Actor,
    id: &MerchantId,
    status: MerchantStatus,
    body: &JsonBody,
) -> Result<Response, Problem> {
    let reason = body.read(|object| object.required::<Reason>("reason"))?;
    let done = onboarding::set_status(
        state.pool(),
        call(state, ledger, actor),
        id,
        status,
        reason.as_str(),
    )
    .await?;
    if done.is_none() {
        return Err(missing(ledger, id));
    }
    respond::ok(&view(state, ledger, id).await?)
}
