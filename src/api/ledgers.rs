//! Ledgers: making, finding and listing them, and what they hold.

use axum::extract::State;
use axum::response::Response;

use super::ApiState;
use super::body::JsonBody;
use super::extract::InLedger;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{LedgerRequest, Page};
use super::state::database;
use crate::ledger::LedgerName;
use crate::postgres::ledgers;
use crate::view::{BalanceSheetView, LedgerView};

/// Make a ledger
///
/// A ledger is a book of its own: its wallets and transactions balance among themselves. One that
/// exists is answered as a repeat.
#[utoipa::path(post, path = "/v1/ledgers", tag = "ledgers", request_body = LedgerRequest, responses(
    (status = 201, description = "Made, now or before.", body = LedgerView),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let name = body.read(|object| object.required::<LedgerName>("name"))?;
    let (ledger, made_now) = database!(state, |conn| ledgers::create(conn, &name));
    respond::made(made_now, &view(&state, ledger.name).await?)
}

/// List ledgers
///
/// In order of name.
#[utoipa::path(get, path = "/v1/ledgers", tag = "ledgers",
    params(("limit" = Option<i64>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page of ledgers.", body = Page<LedgerView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.limit();
    let after: Option<LedgerName> = params.after(|position| position.parse().ok());
    params.finish()?;
    let rows = database!(state, |conn| ledgers::page(
        conn,
        after.as_ref(),
        limit.saturating_add(1)
    ));
    let page = Page::cut(rows, limit, |last| last.ledger.name.clone());
    respond::ok(&page.map(|founded| LedgerView::from(&founded)))
}

/// Get a ledger
#[utoipa::path(get, path = "/v1/ledgers/{ledger}", tag = "ledgers",
    responses((status = 200, description = "The ledger.", body = LedgerView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    respond::ok(&view(&state, ledger.name).await?)
}

async fn view(state: &ApiState, name: LedgerName) -> Result<LedgerView, Problem> {
    let founded = database!(state, |conn| ledgers::founded(conn, &name));
    founded
        .map(|founded| LedgerView::from(&founded))
        .ok_or_else(|| Problem::internal(format!("ledger {name} is gone")))
}

/// Get a ledger's balances
///
/// Totals per currency, which are zero in a ledger where every transaction balances, and sums per
/// currency and first segment of the addresses.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/balances", tag = "ledgers",
    responses((status = 200, description = "The balances.", body = BalanceSheetView)),
)]
pub(super) async fn balances(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let rows = database!(state, |conn| ledgers::balances(conn, ledger.id));
    let sheet = BalanceSheetView::new(&ledger, &rows)
        .map_err(|error| Problem::internal(format!("a sum is no number: {error}")))?;
    respond::ok(&sheet)
}
