//! A wallet's entries: its statement.

use axum::extract::State;
use axum::response::Response;

use super::ApiState;
use super::extract::{InLedger, WalletSegment};
use super::problem::Problem;
use super::query::Params;
use super::schema::Page;
use super::state::database;
use super::{respond, wallets};
use crate::postgres::transactions::{self, Span};
use crate::view::StatementLineView;

/// List a wallet's entries
///
/// In order of version, which is the order in which they took effect.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/wallets/{wallet}/entries", tag = "wallets",
    params(
        ("wallet" = String, Path, description = "Address or id.", example = "merchant:acme:available"),
        ("currency" = Option<String>, Query, description = "Needed where the address has wallets in several currencies."),
        ("from" = Option<String>, Query, description = "RFC 3339: recorded at this time or later."),
        ("to" = Option<String>, Query, description = "RFC 3339: recorded before this time."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of entries.", body = Page<StatementLineView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    WalletSegment(name): WalletSegment,
    mut params: Params,
) -> Result<Response, Problem> {
    let currency = params.currency();
    let (from, to) = (params.time("from"), params.time("to"));
    let limit = params.limit();
    let after: Option<i64> = params.after(|position| position.parse().ok());
    params.finish()?;
    let wallet = wallets::named(&state, &ledger, &name, currency).await?;
    let after_version = after.unwrap_or_default();
    let span = Span {
        after_version,
        from,
        to,
        limit: limit.saturating_add(1),
    };
    let lines = database!(state, |conn| transactions::statement(
        conn, ledger.id, wallet.id, span
    ));
    let page = Page::cut(lines, limit, |last| last.version);
    respond::ok(&page.map(|line| StatementLineView::new(line, wallet.currency)))
}
