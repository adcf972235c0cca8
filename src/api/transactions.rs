//! Transactions: posting ones of many legs, and finding what was posted.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ApiState;
use super::body::JsonBody;
use super::extract::{IdSegment, InContext, InLedger, Key};
use super::fields::{Object, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::request::Context;
use super::schema::{Page, TransactionRequest};
use super::state::database;
use super::values::{Items, Minor};
use super::{posting, respond};
use crate::ledger::{Command, Details, IdempotencyKey, LegDraft, Receipt, WalletRef};
use crate::postgres::transactions::{self, Lookup};
use crate::view::TransactionView;

/// Post a transaction of many legs
///
/// All legs take effect together or not at all.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/transactions", tag = "transactions",
    request_body = TransactionRequest,
    responses(
        (status = 201, description = "Posted, now or before under this key.", body = TransactionView),
    ),
)]
pub(super) async fn post(
    State(state): State<ApiState>,
    InContext(context): InContext,
    Key(key): Key,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let command = body.read(|object| journal(object, key, &context))?;
    posting::post(&state, &ledger, &context, command).await
}

fn journal(object: &mut Object<'_, '_>, key: IdempotencyKey, context: &Context) -> Option<Command> {
    let items = object.required::<Items<'_>>("legs");
    let details = posting::details(object, context);
    let Items(items) = items?;
    let mut drafts = Vec::with_capacity(items.len());
    for (n, raw) in items.into_iter().enumerate() {
        let Some(mut leg) = object.item("legs", n, raw) else {
            continue;
        };
        drafts.extend(draft(&mut leg));
        leg.finish();
    }
    Some(Command::journal(key, &drafts, details))
}

fn draft(leg: &mut Object<'_, '_>) -> Option<LegDraft> {
    let wallet = leg.required::<WalletRef>("wallet");
    let currency = leg.required::<Cow<'_, str>>("currency");
    let amount = leg.required::<Minor>("amount");
    Some(LegDraft {
        wallet: wallet?,
        currency: currency?.into_owned(),
        amount: amount?.0,
    })
}

/// Get a transaction
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/transactions/{id}", tag = "transactions",
    params(("id" = Uuid, Path, description = "The transaction's id.", example = "019ac8d2-7c00-7000-8000-000000000000")),
    responses((status = 200, description = "The transaction.", body = TransactionView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let missing = || {
        let shown = shown(&id);
        let detail = format!("There is no transaction {shown} in ledger {}.", ledger.name);
        Problem::new(kinds::TRANSACTION_NOT_FOUND, detail)
    };
    let wanted = Uuid::try_parse(&id).map_err(|_| missing())?;
    let mut found = database!(state, |conn| transactions::receipts(
        conn,
        ledger.id,
        &[wanted]
    ));
    let receipt = found.remove(&wanted).ok_or_else(missing)?;
    respond::ok(&TransactionView::new(&ledger, &receipt, "posted"))
}

/// Find transactions
///
/// By reference or by correlation id, in order of recording.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/transactions", tag = "transactions",
    params(
        ("reference" = Option<String>, Query, description = "Those of this reference; or else `correlation_id`.", example = "order-1001"),
        ("correlation_id" = Option<String>, Query, description = "Those of this correlation id."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of transactions.", body = Page<TransactionView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let lookup = lookup(&mut params);
    let limit = params.limit();
    let after: Option<Uuid> = params.after(|position| position.parse().ok());
    params.finish()?;
    let Some(lookup) = lookup else {
        return Err(Problem::internal("neither a lookup nor a problem"));
    };
    let rows = database!(state, |conn| found(
        conn,
        ledger.id,
        &lookup,
        after,
        limit.saturating_add(1)
    ));
    let page = Page::cut(rows, limit, |last| last.transaction_id);
    respond::ok(&page.map(|receipt| TransactionView::new(&ledger, &receipt, "posted")))
}

async fn found(
    conn: &mut PgConnection,
    ledger_id: i32,
    lookup: &Lookup,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Receipt>> {
    let ids = transactions::find(conn, ledger_id, lookup, after, limit).await?;
    let mut receipts = transactions::receipts(conn, ledger_id, &ids).await?;
    Ok(ids.iter().filter_map(|id| receipts.remove(id)).collect())
}

fn lookup(params: &mut Params) -> Option<Lookup> {
    let reference = params.text("reference");
    let correlation_id = params.text("correlation_id");
    // The fields' own rules: nothing else is stored, nor can be asked for.
    let checked = match (reference, correlation_id) {
        (Some(text), None) => Details::default()
            .with_reference(&text)
            .map(|_| Lookup::Reference(text)),
        (None, Some(text)) => Details::default()
            .with_correlation_id(&text)
            .map(|_| Lookup::CorrelationId(text)),
        (Some(_), Some(_)) => {
            params.wrong(
                "correlation_id",
                "stands beside reference: write one of them",
            );
            return None;
        }
        (None, None) => {
            params.wrong("reference", "is missing: write reference or correlation_id");
            return None;
        }
    };
    match checked {
        Ok(lookup) => Some(lookup),
        Err(invalid) => {
            let name = if invalid.field == "reference" {
                "reference"
            } else {
                "correlation_id"
            };
            params.wrong(name, invalid.problem);
            None
        }
    }
}
