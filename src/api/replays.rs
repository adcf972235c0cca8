//! Replays of dead letters: begun here, watched and cancelled from anywhere.

use std::num::NonZeroU32;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use time::OffsetDateTime;

use super::ApiState;
use super::body::JsonBody;
use super::caller::{Caller, Scope};
use super::extract::{IdSegment, Key};
use super::fields::{Object, Problems, Wrong, shown};
use super::kinds::{self, Kind};
use super::problem::{Problem, bus_unavailable};
use super::query::Params;
use super::respond;
use super::schema::{CancelRequest, Page, ReplayAnswer, ReplayRequest};
use super::state::database;
use super::values::{Count, Number, Numbers, Searched, Time};
use crate::dlq::discard::Reason;
use crate::dlq::plan::Plan;
use crate::dlq::replay::Options;
use crate::dlq::runs::{self, Account};
use crate::dlq::selection::{IDS_MAX, Selection, Which};
use crate::ledger::RejectionCode;
use crate::postgres::dead_letters::replays::{self, Run};
use crate::view::{ReplayPlanView, ReplayView};

/// Replay dead letters
///
/// Publishes the messages to their topics again, under the same ids, so that consumers drop what
/// they had handled. What is replayed is pinned when it begins: letters that come back are not part
/// of it. One replay a topic at a time. It goes on by itself; look at it, or cancel it, by its
/// number.
#[utoipa::path(post, path = "/v1/dead-letters/replays", tag = "dead-letters",
    request_body = ReplayRequest,
    responses(
        (status = 202, description = "It has begun.", body = ReplayAnswer),
        (status = 200, description = "The plan; nothing was begun, since there is nothing to do or `dry_run` asked for no more.", body = ReplayAnswer),
    ),
)]
pub(super) async fn start(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    Key(key): Key,
    Scope(ledger): Scope,
    body: JsonBody,
) -> Result<Response, Problem> {
    let asked = body.read(|object| Some(Asked::read(object)))?;
    let dry_run = asked.dry_run;
    let options = Options {
        rate: asked.rate,
        idempotency_key: Some(key.as_str()),
        ..Options::default()
    };
    let selection = asked.selection(ledger)?;
    if !dry_run && let Some(answer) = repeat(&state, key.as_str(), &options, &selection).await? {
        return Ok(answer);
    }
    let plan = database!(state, |conn| Plan::make(conn, selection.clone()));
    if !plan.unknown.is_empty() {
        let numbers: Vec<String> = plan.unknown.iter().take(20).map(i64::to_string).collect();
        let detail = format!("There is no dead letter {}.", numbers.join(", "));
        return Err(Problem::new(kinds::DEAD_LETTER_NOT_FOUND, detail));
    }
    let view = ReplayPlanView::from(&plan);
    if dry_run || plan.letters.is_empty() {
        let plan = Some(view);
        let answer = respond::ok(&ReplayAnswer { run: None, plan })?;
        // Nothing was begun: the same request may begin it when there is something to do.
        return Ok(respond::key_stays_free(answer));
    }
    let no_bus = || bus_unavailable("This instance has no bus. Nothing was done.");
    let replayer = state.replayer().ok_or_else(no_bus)?;
    replayer.check_bus(&plan.topics()).await?;
    let id = replayer.start(plan, options, actor).await?;
    let run = database!(state, |conn| replays::find(conn, id, None));
    begun(run, Some(view))
}

/// The answer to a request that had begun a replay before.
async fn repeat(
    state: &ApiState,
    key: &str,
    options: &Options<'_>,
    selection: &Selection,
) -> Result<Option<Response>, Problem> {
    let Some(run) = database!(state, |conn| replays::under_key(conn, key)) else {
        return Ok(None);
    };
    let before: serde_json::Value = serde_json::from_str(&run.selection)
        .map_err(|error| Problem::internal(format!("a selection is no JSON: {error}")))?;
    if before != options.asked(selection) {
        let kind = Kind::of_rejection(RejectionCode::IdempotencyKeyReused);
        let detail = format!(
            "The key began replay {}, which was asked otherwise.",
            run.id
        );
        return Err(Problem::new(kind, detail));
    }
    Ok(Some(respond::repeated(begun(Some(run), None)?)))
}

fn begun(run: Option<Run>, plan: Option<ReplayPlanView>) -> Result<Response, Problem> {
    let run = run.ok_or_else(|| Problem::internal("a replay that began is gone"))?;
    let location = format!("/v1/dead-letters/replays/{}", run.id);
    let run = Some(ReplayView::from(run));
    let mut response = respond::json(StatusCode::ACCEPTED, &ReplayAnswer { run, plan })?;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What a body asks for.
struct Asked {
    ids: Option<Vec<i64>>,
    all: bool,
    topic: Option<String>,
    error: Option<String>,
    since: Option<OffsetDateTime>,
    limit: Option<u32>,
    last_letter_id: Option<i64>,
    rate: Option<NonZeroU32>,
    force: bool,
    dry_run: bool,
}

impl Asked {
    fn read(object: &mut Object<'_, '_>) -> Self {
        let ids = object.optional::<Numbers>("ids").map(|Numbers(ids)| ids);
        if ids
            .as_ref()
            .is_some_and(|ids| !(1..=IDS_MAX).contains(&ids.len()))
        {
            object.wrong("ids", format!("does not hold 1 to {IDS_MAX} numbers"));
        }
        let searched = |Searched(text)| text;
        Self {
            ids,
            all: object.optional("all").unwrap_or_default(),
            topic: object.optional("topic").map(searched),
            error: object.optional("error").map(searched),
            since: object.optional("since").map(|Time(since)| since),
            limit: object.optional("limit").map(|Count(limit)| limit),
            last_letter_id: object.optional("last_letter_id").map(|Number(id)| id),
            rate: object
                .optional("rate")
                .and_then(|Count(rate)| NonZeroU32::new(rate)),
            force: object.optional("force").unwrap_or_default(),
            dry_run: object.optional("dry_run").unwrap_or_default(),
        }
    }

    fn selection(self, ledger: Option<String>) -> Result<Selection, Problem> {
        let filtered = self.topic.is_some() || self.error.is_some() || self.since.is_some();
        let which = match self.ids {
            Some(ids) if !self.all && !filtered => Which::ids(ids),
            Some(_) => {
                return Err(unclear(
                    "stands beside all, topic, error or since: write one",
                ));
            }
            None if self.all || filtered => Which::Waiting {
                topic: self.topic,
                error: self.error,
                since: self.since,
            },
            None => {
                return Err(unclear(
                    "is missing, and so is what else says which letters: write ids, topic, error, \
                     since, or all: true",
                ));
            }
        };
        Ok(Selection {
            which,
            limit: self.limit.and_then(|limit| usize::try_from(limit).ok()),
            last_letter_id: self.last_letter_id,
            ledger,
            force: self.force,
        })
    }
}

fn unclear(problem: &'static str) -> Problem {
    let mut problems = Problems::default();
    problems.add("ids", Wrong::new(problem));
    let unnamed = || Problem::internal("a problem was added and is not there");
    problems.into_problem().unwrap_or_else(unnamed)
}

/// List replays
///
/// The newest first.
#[utoipa::path(get, path = "/v1/dead-letters/replays", tag = "dead-letters",
    params(("limit" = Option<i64>, Query), ("after" = Option<String>, Query)),
    responses((status = 200, description = "A page of replays.", body = Page<ReplayView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Scope(ledger): Scope,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.limit();
    let after: Option<i64> = params.after(|position| position.parse().ok());
    params.finish()?;
    let now = OffsetDateTime::now_utc();
    let rows = database!(state, |conn| runs::page(
        conn,
        ledger.as_deref(),
        after,
        limit.saturating_add(1),
        now
    ));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(ReplayView::from))
}

/// Get a replay
///
/// How far it has come, and once it has ended why, with the first letters that could not be
/// replayed.
#[utoipa::path(get, path = "/v1/dead-letters/replays/{id}", tag = "dead-letters",
    params(("id" = i64, Path, description = "The replay's number.", example = "3")),
    responses((status = 200, description = "The replay.", body = ReplayView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    Scope(ledger): Scope,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let account = named(&state, &id, ledger.as_deref()).await?;
    respond::ok(&ReplayView::from(account))
}

async fn named(state: &ApiState, id: &str, ledger: Option<&str>) -> Result<Account, Problem> {
    let now = OffsetDateTime::now_utc();
    let found = match id.parse::<i64>() {
        Ok(number) => database!(state, |conn| runs::find(conn, number, ledger, now)),
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let shown = shown(id);
        let detail = format!("There is no replay {shown} here.");
        Problem::new(kinds::REPLAY_NOT_FOUND, detail)
    })
}

/// Cancel a replay
///
/// It stops behind the batch at hand; what was replayed stays so, the rest waits. One that has ended
/// is answered as it stands.
#[utoipa::path(post, path = "/v1/dead-letters/replays/{id}/cancel", tag = "dead-letters",
    params(("id" = i64, Path, description = "The replay's number.", example = "3")),
    request_body = CancelRequest,
    responses((status = 200, description = "The replay as it stands.", body = ReplayView)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    Scope(ledger): Scope,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let reason = body.read(|object| Some(object.optional::<Reason>("reason")))?;
    let number = named(&state, &id, ledger.as_deref()).await?.run.id;
    let now = OffsetDateTime::now_utc();
    let reason = reason.as_ref().map(Reason::as_str);
    let mut conn = state.pool().acquire().await?;
    let asked_now = runs::cancel(&mut conn, number, reason, &actor, now).await?;
    drop(conn);
    let view = ReplayView::from(named(&state, &id, ledger.as_deref()).await?);
    let answer = respond::ok(&view)?;
    Ok(match asked_now {
        true => answer,
        false => respond::repeated(answer),
    })
}
