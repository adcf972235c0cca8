//! Settlements: what matured becomes the merchants' to have.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ApiState;
use super::body::JsonBody;
use super::caller::Caller;
use super::extract::{IdSegment, InLedger};
use super::fields::{Wrong, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{Page, SettlementRunRequest};
use super::state::database;
use crate::ledger::Ledger;
use crate::merchant::MerchantId;
use crate::postgres::merchants;
use crate::postgres::settlements::{self, Filter};
use crate::settlement::{self, Report, Scope, SettlementError, Step};
use crate::view::{
    DueReserveView, SettlementFailedView, SettlementLeftView, SettlementRunView, SettlementView,
    SettlementWorkView,
};

/// How many periods and reserves a request settles at most.
const STEPS_MAX: usize = 200;
/// How many a preview shows at most.
const SHOWN_MAX: usize = 1_000;

/// Settle what has matured
///
/// And release reserves whose time has come. Each merchant, currency and period is settled once,
/// whoever asks and however often. A request does at most 200 of them and takes half its time limit;
/// `left` says what waits then, and while something waits, the same request does more of it.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/settlements", tag = "settlements",
    request_body = SettlementRunRequest,
    responses((status = 200, description = "What was done, and what is left.", body = SettlementRunView)),
)]
pub(super) async fn run(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let now = OffsetDateTime::now_utc();
    let scope = body.read(|object| {
        let merchant = object.optional::<MerchantId>("merchant");
        let date = object.optional::<Cow<'_, str>>("date");
        let scope = day(date.as_deref())
            .and_then(|date| scoped(merchant, date, actor.name, now))
            .map_err(|problem| object.wrong("date", problem));
        scope.ok()
    })?;
    check_merchant(&state, &ledger, &scope).await?;
    let mut done = Done::default();
    let stop = CancellationToken::new();
    let running = state.settler().run(&ledger, &scope, &stop, |step| {
        done.take_in(&ledger, step);
        if done.steps() >= STEPS_MAX {
            stop.cancel();
        }
    });
    let report = in_time(running, state.limits().request_timeout / 2, &stop).await?;
    let merchant = scope.merchant.as_ref();
    let left = database!(state, |conn| settlements::waiting(
        conn, ledger.id, merchant, scope.at
    ));
    let is_all = !report.stopped && report.failed.is_empty();
    let answer = respond::ok(&SettlementRunView {
        settled: done.settled,
        released: done.released,
        failed: done.failed,
        left: SettlementLeftView {
            periods: left.periods,
            reserves: left.reserves,
        },
    })?;
    Ok(match is_all {
        true => answer,
        false => respond::key_stays_free(answer),
    })
}

/// Lets a run end by itself; tells it to stop at the next step once its time is up.
async fn in_time(
    running: impl Future<Output = Result<Report, SettlementError>>,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Report, SettlementError> {
    let mut running = pin!(running);
    tokio::select! {
        report = &mut running => return report,
        () = tokio::time::sleep(patience) => stop.cancel(),
    }
    running.await
}

#[derive(Default)]
struct Done {
    settled: Vec<SettlementView>,
    released: Vec<DueReserveView>,
    failed: Vec<SettlementFailedView>,
}

impl Done {
    fn take_in(&mut self, ledger: &Ledger, step: &Step) {
        match step {
            Step::Settled(settlement) => self.settled.push(SettlementView::new(ledger, settlement)),
            Step::Released(release) => self.released.push(DueReserveView::from(release)),
            Step::Failed(failed) => self.failed.push(SettlementFailedView::from(failed)),
        }
    }

    fn steps(&self) -> usize {
        let done = self.settled.len().saturating_add(self.released.len());
        done.saturating_add(self.failed.len())
    }
}

fn day(text: Option<&str>) -> Result<Option<Date>, String> {
    text.map(settlement::day).transpose()
}

fn scoped(
    merchant: Option<MerchantId>,
    date: Option<Date>,
    by: String,
    now: OffsetDateTime,
) -> Result<Scope, String> {
    Scope::new(merchant, date, by, now).map_err(|error| error.to_string())
}

async fn check_merchant(state: &ApiState, ledger: &Ledger, scope: &Scope) -> Result<(), Problem> {
    let Some(merchant) = &scope.merchant else {
        return Ok(());
    };
    match database!(state, |conn| merchants::find(conn, ledger.id, merchant)) {
        Some(_) => Ok(()),
        None => {
            let detail = format!("There is no merchant {merchant} in ledger {}.", ledger.name);
            Err(Problem::new(kinds::PAYEE_NOT_FOUND, detail))
        }
    }
}

/// Look at what a run would settle
///
/// Nothing is done. In the order of a run, at most 1,000 steps of it.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/settlements/preview", tag = "settlements",
    params(
        ("merchant" = Option<String>, Query, description = "Only this merchant."),
        ("date" = Option<String>, Query, description = "What had matured by the end of this day in UTC, today at the latest; by now unless said."),
    ),
    responses((status = 200, description = "What is due, and where it would go.", body = SettlementWorkView)),
)]
pub(super) async fn preview(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let merchant = params.read("merchant", |text| {
        text.parse::<MerchantId>().map_err(Wrong::new)
    });
    let now = OffsetDateTime::now_utc();
    // The whole scope is read where the date is, which alone can be at odds with the time.
    let scope = params.read("date", |text| {
        let date = settlement::day(text).map_err(Wrong::new)?;
        scoped(merchant.clone(), Some(date), String::new(), now).map_err(Wrong::new)
    });
    params.finish()?;
    let scope = match scope {
        Some(scope) => scope,
        None => scoped(merchant, None, String::new(), now).map_err(Problem::internal)?,
    };
    check_merchant(&state, &ledger, &scope).await?;
    let mut conn = state.pool().acquire().await?;
    let work = settlement::preview(&mut conn, &ledger, &scope, SHOWN_MAX).await?;
    respond::ok(&SettlementWorkView::from(&work))
}

/// List settlements
///
/// The newest first.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/settlements", tag = "settlements",
    params(
        ("merchant" = Option<String>, Query, description = "Only this merchant's."),
        ("currency" = Option<String>, Query, description = "Only in this currency."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of settlements.", body = Page<SettlementView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let merchant = params.read("merchant", |text| {
        text.parse::<MerchantId>().map_err(Wrong::new)
    });
    let currency = params.currency();
    let limit = params.limit();
    let before = params.after(|position| position.parse::<Uuid>().ok());
    params.finish()?;
    let filter = Filter {
        merchant,
        currency,
        before,
        limit: limit.saturating_add(1),
    };
    let rows = database!(state, |conn| settlements::list(conn, ledger.id, &filter));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(|settlement| SettlementView::new(&ledger, &settlement)))
}

/// Get a settlement
///
/// With its reserves.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/settlements/{id}", tag = "settlements",
    params(("id" = Uuid, Path, description = "The settlement's id.")),
    responses((status = 200, description = "The settlement.", body = SettlementView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let found = match id.parse::<Uuid>() {
        Ok(id) => database!(state, |conn| settlements::find(conn, ledger.id, id)),
        Err(_) => None,
    };
    let settlement = found.ok_or_else(|| {
        let shown = shown(&id);
        let detail = format!("There is no settlement {shown} in ledger {}.", ledger.name);
        Problem::new(kinds::SETTLEMENT_NOT_FOUND, detail)
    })?;
    respond::ok(&SettlementView::new(&ledger, &settlement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_whose_time_is_up_is_told_to_stop_and_ends_at_its_next_step() {
        let stop = CancellationToken::new();
        let running = async {
            stop.cancelled().await;
            let stopped = true;
            Ok(Report {
                stopped,
                ..Report::default()
            })
        };
        let report = in_time(running, Duration::ZERO, &stop).await;
        assert!(report.is_ok_and(|report| report.stopped));
    }

    #[tokio::test]
    async fn a_run_that_ends_in_time_is_not_told_to_stop() {
        let stop = CancellationToken::new();
        let running = std::future::ready(Ok(Report::default()));
        let report = in_time(running, Duration::from_secs(3_600), &stop).await;
        assert!(report.is_ok_and(|report| !report.stopped));
        assert!(!stop.is_cancelled());
    }
}
