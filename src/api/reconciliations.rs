//! Reconciliation: runs over statements, discrepancies and their resolution, clearing wallets.

use std::borrow::Cow;
use std::io::Cursor;

use axum::extract::State;
use axum::response::Response;
use time::OffsetDateTime;
use uuid::Uuid;

use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::{IdSegment, InLedger};
use super::fields::{Object, Wrong, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{
    ClearingAnswer, DiscrepancyApproveRequest, DiscrepancyProposeRequest, Page,
    ReconciliationAnswer, ReconciliationRequest,
};
use super::state::database;
use super::values::{Items, Minor};
use crate::dlq::discard::Reason;
use crate::ledger::{Address, Currency, Ledger};
use crate::postgres::discrepancies::{self, Class, Discrepancy, Filter, Status};
use crate::postgres::reconciliations::{self, Reconciliation};
use crate::reconcile::resolve::{self, Leg};
use crate::reconcile::{self, Format, ReconcileError, Source, Statement, clearing};
use crate::view::{ClearingView, DiscrepancyView, ReconciliationView};

/// Hold the ledger against a statement
///
/// Lines are recorded once, whatever statement they come in: sending one that overlaps an earlier
/// one is harmless. Larger files than a body may be go through `aegisctl reconcile run`.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/reconciliations", tag = "reconciliation",
    request_body = ReconciliationRequest,
    responses((status = 201, description = "What came of it.", body = ReconciliationAnswer)),
)]
pub(super) async fn run(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (source, format, name, content) = body.read(wanted)?;
    let input = Box::new(Cursor::new(content.into_bytes()));
    let mut statement =
        Statement::open(input, format, source.psp()).map_err(ReconcileError::Unusable)?;
    let mut conn = state.pool().acquire().await?;
    let report = reconcile::run(
        &mut conn,
        state.reconcile_options(),
        &ledger,
        &source,
        (&name, &mut statement),
        (None, None),
        &actor,
        OffsetDateTime::now_utc(),
    )
    .await?;
    drop(conn);
    let broken_lines = report.broken.into_iter();
    let answer = ReconciliationAnswer {
        run: ReconciliationView::new(&ledger, &report.run),
        open: report.open,
        broken_lines: broken_lines
            .map(|broken| (broken.line, broken.problem).into())
            .collect(),
    };
    respond::made(true, &answer)
}

fn wanted(object: &mut Object<'_, '_>) -> Option<(Source, Option<Format>, String, String)> {
    let psp = object.optional::<Cow<'_, str>>("psp");
    let bank = object.optional::<Cow<'_, str>>("bank");
    let format = object.optional::<Cow<'_, str>>("format");
    let name = object.optional::<Cow<'_, str>>("file_name");
    let content = object.required::<Cow<'_, str>>("content");
    let source = match (psp, bank) {
        (Some(psp), None) => Some(Source::Psp(psp.into_owned())),
        (None, Some(bank)) => Some(Source::Bank(bank.into_owned())),
        _ => {
            object.wrong("psp", "or bank: say whose statement it is, one of the two");
            None
        }
    };
    let source = source.filter(|source| match source.wallet() {
        Ok(_) => true,
        Err(problem) => {
            object.wrong("psp", problem);
            false
        }
    });
    let format = format.map(|name| {
        let found = Format::from_name(&name);
        if found.is_none() {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            object.wrong("format", format!("is none of {}", known.join(", ")));
        }
        found
    });
    let format = match format {
        Some(None) => return None,
        Some(found) => found,
        None => None,
    };
    let name = name.map_or_else(|| "body".to_owned(), Cow::into_owned);
    Some((source?, format, name, content?.into_owned()))
}

/// List runs over statements
///
/// The newest first.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/reconciliations", tag = "reconciliation",
    params(
        ("wallet" = Option<String>, Query, description = "Only those over this wallet's statements, such as `psp:paystack`."),
        ("limit" = Option<i64>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of runs.", body = Page<ReconciliationView>)),
)]
pub(super) async fn runs(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let wallet = params.text("wallet");
    let limit = params.limit();
    let after: Option<Uuid> = params.after(|position| position.parse().ok());
    params.finish()?;
    let rows = database!(state, |conn| reconciliations::page(
        conn,
        ledger.id,
        wallet.as_deref(),
        after,
        limit.saturating_add(1)
    ));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(|run: Reconciliation| ReconciliationView::new(&ledger, &run)))
}

/// Get a run over a statement
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/reconciliations/{id}", tag = "reconciliation",
    params(("id" = Uuid, Path, description = "The run's id.")),
    responses((status = 200, description = "The run.", body = ReconciliationView)),
)]
pub(super) async fn show_run(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let found = match id.parse() {
        Ok(id) => database!(state, |conn| reconciliations::find(conn, ledger.id, id)),
        Err(_) => None,
    };
    let run = found.ok_or_else(|| {
        let detail = format!("There is no reconciliation {}.", shown(&id));
        Problem::new(kinds::RECONCILIATION_NOT_FOUND, detail)
    })?;
    respond::ok(&ReconciliationView::new(&ledger, &run))
}

/// Look at the clearing wallets
///
/// What PSPs hold, payouts and refunds on their way: each balance, what it is made of, and since when.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/reconciliations/clearing", tag = "reconciliation",
    responses((status = 200, description = "The wallets.", body = ClearingAnswer)),
)]
pub(super) async fn clearing(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let standings = database!(state, |conn| clearing::standings(conn, ledger.id));
    let items: Vec<ClearingView> = standings.iter().map(ClearingView::from).collect();
    let explained = items.iter().all(|view| view.explained);
    respond::ok(&ClearingAnswer { explained, items })
}

/// List discrepancies
///
/// In order of their numbers, which is the order in which they were found. Those that are not
/// resolved, unless `status` says otherwise.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/discrepancies", tag = "reconciliation",
    params(
        ("status" = Option<String>, Query, description = "`open`, `proposed`, `resolved` or `all`."),
        ("class" = Option<String>, Query, description = "Only those of this class."),
        ("wallet" = Option<String>, Query, description = "Only those of this wallet's statements."),
        ("reference" = Option<String>, Query, description = "Only those of this reference."),
        ("limit" = Option<i64>, Query), ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of discrepancies.", body = Page<DiscrepancyView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let status = params.read("status", |name| match (name, Status::from_name(name)) {
        ("all", _) => Ok(None),
        (_, Some(status)) => Ok(Some(status)),
        _ => Err(Wrong::new(
            "is not a status: write open, proposed, resolved or all",
        )),
    });
    let class = params.read("class", |name| {
        Class::from_name(name).ok_or_else(|| Wrong::new("is not a class of discrepancies"))
    });
    let wallet = params.text("wallet");
    let reference = params.text("reference");
    let limit = params.limit();
    let after: Option<i64> = params.after(|position| position.parse().ok());
    params.finish()?;
    let filter = Filter {
        status: status.flatten(),
        all: status == Some(None),
        class,
        wallet: wallet.as_deref(),
        reference: reference.as_deref(),
        reconciliation: None,
    };
    let rows = database!(state, |conn| discrepancies::page(
        conn,
        ledger.id,
        &filter,
        after.unwrap_or_default(),
        limit.saturating_add(1)
    ));
    let now = OffsetDateTime::now_utc();
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(|it: Discrepancy| DiscrepancyView::new(&ledger, &it, now)))
}

fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| {
        let detail = format!("There is no discrepancy {}.", shown(id));
        Problem::new(kinds::DISCREPANCY_NOT_FOUND, detail)
    })
}

/// Get a discrepancy
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/discrepancies/{id}", tag = "reconciliation",
    params(("id" = i64, Path, description = "The discrepancy's number.", example = "7")),
    responses((status = 200, description = "The discrepancy.", body = DiscrepancyView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let id = number(&id)?;
    let found = database!(state, |conn| discrepancies::find(
        conn, ledger.id, id, false
    ));
    let found = found.ok_or_else(|| resolve::not_found(&ledger, id))?;
    respond::ok(&view(&ledger, &found))
}

fn view(ledger: &Ledger, it: &Discrepancy) -> DiscrepancyView {
    DiscrepancyView::new(ledger, it, OffsetDateTime::now_utc())
}

/// Propose how a discrepancy is resolved
///
/// Without `legs` the proposal is to accept the difference as it is. Nothing is posted before
/// somebody else approves. A proposal that waits is replaced.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/discrepancies/{id}/propose", tag = "reconciliation",
    params(("id" = i64, Path, description = "The discrepancy's number.", example = "7")),
    request_body = DiscrepancyProposeRequest,
    responses((status = 200, description = "The discrepancy as it stands now.", body = DiscrepancyView)),
)]
pub(super) async fn propose(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (reason, legs) = body.read(|object| {
        let reason = object.required::<Reason>("reason");
        let items = object.optional::<Items<'_>>("legs");
        let mut legs = Vec::new();
        for (n, raw) in items.into_iter().flat_map(|Items(items)| items).enumerate() {
            if let Some(mut item) = object.item("legs", n, raw) {
                legs.extend(leg(&mut item));
                item.finish();
            }
        }
        Some((reason?, legs))
    })?;
    let (id, now) = (number(&id)?, OffsetDateTime::now_utc());
    let (pool, reason) = (state.pool(), reason.as_str());
    let done = resolve::propose(pool, &ledger, id, &legs, reason, &actor, now).await?;
    respond::ok(&view(&ledger, &done))
}

fn leg(item: &mut Object<'_, '_>) -> Option<Leg> {
    let wallet = item.required::<Address>("wallet");
    let currency = item.required::<Currency>("currency");
    let amount = item.required::<Minor>("amount");
    Some(Leg {
        wallet: wallet?,
        currency: currency?,
        amount: amount?.0,
    })
}

/// Approve what somebody else proposed
///
/// Posts the correcting transaction and closes the discrepancy, together. Another proposal than the
/// one that was seen is not approved.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/discrepancies/{id}/approve", tag = "reconciliation",
    params(("id" = i64, Path, description = "The discrepancy's number.", example = "7")),
    request_body = DiscrepancyApproveRequest,
    responses((status = 200, description = "The discrepancy as it stands now.", body = DiscrepancyView)),
)]
pub(super) async fn approve(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let seen = body.read(|object| {
        let hash = object.required::<Cow<'_, str>>("proposal_hash");
        hash.map(Cow::into_owned)
    })?;
    let (meant, now) = ((number(&id)?, seen.as_str()), OffsetDateTime::now_utc());
    let options = state.reconcile_options();
    let done = resolve::approve(state.pool(), options, &ledger, meant, &actor, now).await?;
    respond::ok(&view(&ledger, &done))
}
