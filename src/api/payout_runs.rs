//! Payout runs: frozen and decided on here, paid by the worker of aegisd.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::{InLedger, KeySegment};
use super::fields::{Object, Problems, Wrong};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{
    FieldProblem, Page, PayoutRunCancelRequest, PayoutRunDecisionRequest, PayoutRunRequest,
};
use super::state::database;
use super::values::{Items, Minor};
use crate::dlq::discard::Reason;
use crate::ledger::{Currency, Ledger};
use crate::merchant::MerchantId;
use crate::payout_runs::{
    self, Decided, Entry, EntryProblem, ITEMS_MAX, Limits, List, RunError, RunKey, Start, Started,
    Wanted, due,
};
use crate::postgres::payout_runs::items::{self, Outcome};
use crate::postgres::payout_runs::{self as rows, Run, RunStatus};
use crate::view::{PayoutRunItemView, PayoutRunView};

/// Start a payout run
///
/// Freezes a list under a key: what is due now by the merchants' terms, or the items of the body.
/// aegisd pays it in the background, unless it is over a limit and waits for an approval. The same
/// list under the same key again is the run that is there; another list is refused with both hashes.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payout-runs", tag = "payout-runs",
    request_body = PayoutRunRequest,
    responses(
        (status = 201, description = "Frozen, now or before under this key.", body = PayoutRunView),
    ),
)]
pub(super) async fn start(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let asked = body.read(Asked::read)?;
    let topic = state.dispatch()?.options().topic_settlements.clone();
    let list = match asked.list(&state, &ledger).await? {
        Found::Before(run) => return answer(&ledger, &run, false),
        Found::New(list) => list,
    };
    let approval_reason = state.run_limits().and(asked.limits).exceeded_by(&list);
    let new = Start {
        key: asked.key,
        list,
        approval_reason,
        in_background: true,
    };
    let now = OffsetDateTime::now_utc();
    let started = payout_runs::start(state.pool(), &topic, &ledger, &new, &actor, now).await?;
    match started {
        Started::Now(run) => answer(&ledger, &run, true),
        Started::Before(run) => answer(&ledger, &run, false),
        Started::Refused(refusal) => Err(Problem::of_rule(refusal.code, refusal.detail)),
    }
}

fn answer(ledger: &Ledger, run: &Run, made_now: bool) -> Result<Response, Problem> {
    let mut response = respond::made(made_now, &PayoutRunView::new(ledger, run))?;
    let location = format!("/v1/ledgers/{}/payout-runs/{}", ledger.name, run.key);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What a body asks for.
struct Asked {
    key: RunKey,
    due: bool,
    currency: Option<Currency>,
    items: Option<Vec<(MerchantId, i64, Option<String>)>>,
    limits: Limits,
}

enum Found {
    Before(Box<Run>),
    New(List),
}

impl Asked {
    fn read(object: &mut Object<'_, '_>) -> Option<Self> {
        let key = object.required::<RunKey>("key");
        let due = object.optional::<bool>("due").unwrap_or_default();
        let currency = object.optional::<Currency>("currency");
        let items = object.optional::<Items<'_>>("items");
        let limits = Limits {
            above_minor: limit(object, "approval_above_minor"),
            above_count: limit(object, "approval_above_count"),
        };
        let items = match items {
            None => None,
            Some(Items(items)) if items.len() > ITEMS_MAX => {
                let problem = format!("has {} items: write {ITEMS_MAX} at most", items.len());
                object.wrong("items", problem);
                return None;
            }
            Some(Items(items)) => {
                let mut read = Vec::with_capacity(items.len());
                for (n, raw) in items.into_iter().enumerate() {
                    let Some(mut item) = object.item("items", n, raw) else {
                        continue;
                    };
                    let merchant = item.required::<MerchantId>("merchant");
                    let amount = item.required::<Minor>("amount");
                    let reference = item.optional::<Cow<'_, str>>("reference");
                    item.finish();
                    if let (Some(merchant), Some(Minor(amount))) = (merchant, amount) {
                        read.push((merchant, amount, reference.map(Cow::into_owned)));
                    }
                }
                Some(read)
            }
        };
        Some(Self {
            key: key?,
            due,
            currency,
            items,
            limits,
        })
    }

    /// The list that is asked for, or the run that has it.
    async fn list(&self, state: &ApiState, ledger: &Ledger) -> Result<Found, Problem> {
        let entries = self.entries()?;
        let key = self.key.as_str();
        let before = database!(state, |conn| rows::find(conn, ledger.id, key));
        let Some(entries) = entries else {
            if let Some(run) = before {
                return met(Wanted::Due(self.currency), run);
            }
            let now = OffsetDateTime::now_utc();
            let found = database!(state, |conn| due::find(conn, ledger, self.currency, now));
            let due = found.map_err(|refusal| Problem::of_rule(refusal.code, refusal.detail))?;
            let nothing = || {
                let detail = "No payout is due: nothing was done.";
                Problem::new(kinds::NOTHING_DUE, detail)
            };
            return due.list.map(Found::New).ok_or_else(nothing);
        };
        let list = List::written(&entries).map_err(|problems| refused(&problems))?;
        if let Some(run) = before {
            return met(Wanted::List(&list), run);
        }
        let refusals = database!(state, |conn| payout_runs::refusals(conn, ledger, &entries));
        match refusals.is_empty() {
            true => Ok(Found::New(list)),
            false => Err(refused(&refusals)),
        }
    }

    /// The entries of a list; `None` for what is due.
    fn entries(&self) -> Result<Option<Vec<Entry>>, Problem> {
        let (items, currency) = match (&self.items, self.currency, self.due) {
            (None, _, true) => return Ok(None),
            (Some(items), Some(currency), false) => (items, currency),
            (Some(_), None, false) => {
                return Err(unclear("currency", "is missing: write the items' currency"));
            }
            (Some(_), _, true) => {
                return Err(unclear("items", "stands beside due: write one of the two"));
            }
            (None, _, false) => {
                let problem = "is missing: write items, or due: true for what is due";
                return Err(unclear("items", problem));
            }
        };
        let entry = |(merchant, amount, reference): &(MerchantId, i64, Option<String>)| Entry {
            merchant: merchant.clone(),
            currency,
            amount: *amount,
            reference: reference.clone(),
        };
        Ok(Some(items.iter().map(entry).collect()))
    }
}

fn met(wanted: Wanted<'_>, run: Run) -> Result<Found, Problem> {
    match wanted.is_met_by(&run) {
        Ok(()) => Ok(Found::Before(Box::new(run))),
        Err(refusal) => Err(Problem::of_rule(refusal.code, refusal.detail)),
    }
}

fn limit(object: &mut Object<'_, '_>, name: &'static str) -> Option<i64> {
    let Minor(limit) = object.optional::<Minor>(name)?;
    if limit < 0 {
        object.wrong(name, "is below 0: write 0 or more");
    }
    Some(limit)
}

fn unclear(field: &'static str, problem: &'static str) -> Problem {
    let mut problems = Problems::default();
    problems.add(field, Wrong::new(problem));
    let unnamed = || Problem::internal("a problem was added and is not there");
    problems.into_problem().unwrap_or_else(unnamed)
}

/// What is wrong with items, each named; the code is theirs where they have one in common.
fn refused(problems: &[EntryProblem]) -> Problem {
    let codes: BTreeSet<&str> = problems.iter().map(|problem| problem.code).collect();
    let common = codes.first().filter(|_| codes.len() == 1);
    let kind = common.and_then(|code| kinds::of_rule(code));
    let errors = problems.iter().take(100).map(|problem| FieldProblem {
        field: format!("items[{}].{}", problem.index, problem.field),
        problem: problem.problem.clone().into(),
    });
    let errors: Vec<FieldProblem> = errors.collect();
    let first = errors.first();
    let mut detail = first.map_or_else(String::new, |e| format!("{} {}", e.field, e.problem));
    let more = problems.len().saturating_sub(1);
    if more > 0 {
        detail.push_str(&format!("; and {more} more"));
    }
    Problem::new(kind.unwrap_or(kinds::FIELDS_INVALID), detail).with_errors(errors)
}

/// List payout runs
///
/// Those started last first.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payout-runs", tag = "payout-runs",
    params(
        ("status" = Option<String>, Query, description = "`waiting`, `running`, `finished` or `cancelled`."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of runs.", body = Page<PayoutRunView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let status = params.read("status", |name| {
        RunStatus::from_name(name).ok_or_else(|| {
            Wrong::new("is not a status: write waiting, running, finished or cancelled")
        })
    });
    let limit = params.limit();
    let after: Option<(OffsetDateTime, String)> = params.after(|position| {
        let (at, key) = position.split_once(' ')?;
        Some((OffsetDateTime::parse(at, &Rfc3339).ok()?, key.to_owned()))
    });
    params.finish()?;
    let found = database!(state, |conn| rows::page(
        conn,
        ledger.id,
        status,
        after.as_ref(),
        limit.saturating_add(1)
    ));
    let page = Page::cut(found, limit, |last| {
        let at = last.started_at.format(&Rfc3339).unwrap_or_default();
        format!("{at} {}", last.key)
    });
    respond::ok(&page.map(|run| PayoutRunView::new(&ledger, &run)))
}

/// Get a payout run
///
/// With what became of its payouts up to this moment, whoever ended them.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payout-runs/{key}", tag = "payout-runs",
    params(("key" = String, Path, description = "The run's key.", example = "2026-11-22-evening")),
    responses((status = 200, description = "The run as it stands.", body = PayoutRunView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    KeySegment(key): KeySegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let run = named(&state, &ledger, &key).await?;
    respond::ok(&PayoutRunView::new(&ledger, &run))
}

/// List the payouts of a run
///
/// In the order of its list.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/payout-runs/{key}/items", tag = "payout-runs",
    params(
        ("key" = String, Path, description = "The run's key.", example = "2026-11-22-evening"),
        ("outcome" = Option<String>, Query, description = "`waiting`, `succeeded`, `failed`, `unknown` or `cancelled`."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of items.", body = Page<PayoutRunItemView>)),
)]
pub(super) async fn list_items(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    KeySegment(key): KeySegment,
    mut params: Params,
) -> Result<Response, Problem> {
    let outcome = params.read("outcome", |name| {
        Outcome::from_name(name).ok_or_else(|| {
            Wrong::new("is not an outcome: write waiting, succeeded, failed, unknown or cancelled")
        })
    });
    let limit = params.limit();
    let after: Option<i32> = params.after(|position| position.parse().ok());
    params.finish()?;
    let run = named(&state, &ledger, &key).await?;
    let outcomes = outcome.map_or_else(|| Outcome::ALL.to_vec(), |outcome| vec![outcome]);
    let found = database!(state, |conn| items::page(
        conn,
        ledger.id,
        &run.key,
        &outcomes,
        after.unwrap_or_default(),
        limit.saturating_add(1)
    ));
    let page = Page::cut(found, limit, |last| last.number);
    let currency = run.currency.code();
    respond::ok(&page.map(|item| PayoutRunItemView::new(currency, item)))
}

/// Approve a payout run
///
/// Lets a run that waits pay; aegisd pays it in the background. Whoever started it can't approve of
/// it. One that was approved before is answered as a repeat.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payout-runs/{key}/approve", tag = "payout-runs",
    params(("key" = String, Path, description = "The run's key.", example = "2026-11-22-evening")),
    request_body = PayoutRunDecisionRequest,
    responses((status = 200, description = "The run as it stands now.", body = PayoutRunView)),
)]
pub(super) async fn approve(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    KeySegment(key): KeySegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    body.read(|_| Some(()))?;
    let key = parsed(&ledger, &key)?;
    let topic = state.dispatch()?.options().topic_settlements.clone();
    let (pool, now) = (state.pool(), OffsetDateTime::now_utc());
    let decided = payout_runs::approve(pool, &topic, &ledger, &key, true, &actor, now).await?;
    told(&ledger, decided)
}

/// Resume a payout run
///
/// aegisd goes on with it in the background. One that is finished is answered as a repeat.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payout-runs/{key}/resume", tag = "payout-runs",
    params(("key" = String, Path, description = "The run's key.", example = "2026-11-22-evening")),
    request_body = PayoutRunDecisionRequest,
    responses((status = 200, description = "The run as it stands now.", body = PayoutRunView)),
)]
pub(super) async fn resume(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    KeySegment(key): KeySegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    body.read(|_| Some(()))?;
    let key = parsed(&ledger, &key)?;
    state.dispatch()?;
    let (pool, now) = (state.pool(), OffsetDateTime::now_utc());
    let decided = payout_runs::resume(pool, &ledger, &key, Some(true), &actor, now).await?;
    // Asked again, it may have stopped again.
    told(&ledger, decided).map(respond::key_stays_free)
}

/// Cancel a payout run
///
/// What it has not requested yet is never paid; what it has requested goes on to its end.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/payout-runs/{key}/cancel", tag = "payout-runs",
    params(("key" = String, Path, description = "The run's key.", example = "2026-11-22-evening")),
    request_body = PayoutRunCancelRequest,
    responses((status = 200, description = "The run as it stands now.", body = PayoutRunView)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    KeySegment(key): KeySegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let reason = body.read(|object| object.required::<Reason>("reason"))?;
    let key = parsed(&ledger, &key)?;
    let topic = state.dispatch()?.options().topic_settlements.clone();
    let (pool, now, reason) = (state.pool(), OffsetDateTime::now_utc(), reason.as_str());
    let decided = payout_runs::cancel(pool, &topic, &ledger, &key, reason, &actor, now).await?;
    told(&ledger, decided)
}

fn told(ledger: &Ledger, decided: Decided) -> Result<Response, Problem> {
    match decided {
        Decided::Now(run) => respond::ok(&PayoutRunView::new(ledger, &run)),
        Decided::Before(run) => {
            let answer = respond::ok(&PayoutRunView::new(ledger, &run))?;
            Ok(respond::repeated(answer))
        }
        Decided::Refused(refusal) if refusal.code == kinds::PAYOUT_RUN_NOT_FOUND.code => {
            Err(Problem::new(kinds::PAYOUT_RUN_NOT_FOUND, refusal.detail))
        }
        Decided::Refused(refusal) => Err(Problem::of_rule(refusal.code, refusal.detail)),
    }
}

async fn named(state: &ApiState, ledger: &Ledger, key: &str) -> Result<Run, Problem> {
    let key = parsed(ledger, key)?;
    let found = database!(state, |conn| rows::find(conn, ledger.id, key.as_str()));
    found.ok_or_else(|| not_found(ledger, key.as_str()))
}

/// What can be no key is no run's.
fn parsed(ledger: &Ledger, key: &str) -> Result<RunKey, Problem> {
    key.parse().map_err(|_| not_found(ledger, key))
}

fn not_found(ledger: &Ledger, key: &str) -> Problem {
    let shown: String = key.chars().take(128).collect();
    let detail = format!("There is no payout run {shown} in ledger {}.", ledger.name);
    Problem::new(kinds::PAYOUT_RUN_NOT_FOUND, detail)
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Database(error) | RunError::LetGo { source: error, .. } => error.into(),
            RunError::Payout(error) => error.into(),
        }
    }
}
