//! Dead letters: finding them, and giving them up. Replays stand in `replays`.

use axum::extract::State;
use axum::response::Response;
use time::OffsetDateTime;

use super::ApiState;
use super::body::JsonBody;
use super::caller::{Caller, Scope};
use super::extract::IdSegment;
use super::fields::{Wrong, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{DiscardRequest, Page};
use super::state::database;
use super::values::Searched;
use crate::dlq::discard::{self, DiscardPlan, Reason};
use crate::dlq::selection::original_topic;
use crate::postgres::dead_letters::list::{self, Filter, Letter, Status};
use crate::view::{DeadLetterDetailView, DeadLetterStatsView, DeadLetterView};

/// List dead letters
///
/// In order of their numbers, which is the order in which they were found. Those that wait, unless
/// `status` says otherwise.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead-letters",
    params(
        ("status" = Option<String>, Query, description = "`waiting` unless said, `replayed`, `discarded` or `all`."),
        ("topic" = Option<String>, Query, description = "Only those whose message was on this topic."),
        ("error" = Option<String>, Query, description = "Only those whose error holds this text, whatever the case of its letters."),
        ("since" = Option<String>, Query, description = "RFC 3339: only those that failed at this time or later."),
        ("correlation_id" = Option<String>, Query, description = "Only those that belong to this."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of dead letters.", body = Page<DeadLetterView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Scope(ledger): Scope,
    mut params: Params,
) -> Result<Response, Problem> {
    let status = params
        .read("status", status)
        .unwrap_or(Some(Status::Waiting));
    let topic = params.read("topic", searched);
    let filter = Filter {
        status,
        original_topic: topic.as_deref().map(original_topic),
        error: params.read("error", searched),
        since: params.time("since"),
        correlation_id: params.read("correlation_id", searched),
        ledger,
        last_id: None,
    };
    let limit = params.limit();
    let after: Option<i64> = params.after(|position| position.parse().ok());
    params.finish()?;
    let rows = database!(state, |conn| list::page(
        conn,
        &filter,
        after.unwrap_or_default(),
        limit.saturating_add(1)
    ));
    let page = Page::cut(rows, limit, |last| last.id);
    respond::ok(&page.map(DeadLetterView::from))
}

fn status(name: &str) -> Result<Option<Status>, Wrong> {
    match (name, Status::from_name(name)) {
        ("all", _) => Ok(None),
        (_, Some(status)) => Ok(Some(status)),
        (_, None) => Err(Wrong::new(
            "is not a status: write waiting, replayed, discarded or all",
        )),
    }
}

fn searched(text: &str) -> Result<String, Wrong> {
    text.parse().map(|Searched(text)| text).map_err(Wrong::new)
}

/// Count dead letters
///
/// By the topic of their messages and the code of their errors, which is the text up to the first
/// colon; the 1,000 groups with the most that wait.
#[utoipa::path(get, path = "/v1/dead-letters/stats", tag = "dead-letters",
    responses((status = 200, description = "The counts.", body = DeadLetterStatsView)),
)]
pub(super) async fn stats(
    State(state): State<ApiState>,
    Scope(ledger): Scope,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let groups = database!(state, |conn| list::stats(conn, ledger.as_deref()));
    respond::ok(&DeadLetterStatsView::new(groups, OffsetDateTime::now_utc()))
}

/// Get a dead letter
///
/// With the message that failed, its key and headers, and the letters of all its lives.
#[utoipa::path(get, path = "/v1/dead-letters/{id}", tag = "dead-letters",
    params(("id" = i64, Path, description = "The letter's number.", example = "17")),
    responses((status = 200, description = "The letter.", body = DeadLetterDetailView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    Scope(ledger): Scope,
    IdSegment(id): IdSegment,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    respond::ok(&detail(&state, &id, ledger.as_deref()).await?)
}

async fn detail(
    state: &ApiState,
    id: &str,
    ledger: Option<&str>,
) -> Result<DeadLetterDetailView, Problem> {
    let letter = named(state, id, ledger).await?;
    let mut lives = database!(state, |conn| list::lives(conn, &letter));
    if ledger.is_some() {
        lives.retain(|life| life.ledger.as_deref() == ledger);
    }
    Ok(DeadLetterDetailView::new(letter, &lives))
}

async fn named(state: &ApiState, id: &str, ledger: Option<&str>) -> Result<Letter, Problem> {
    let found = match id.parse::<i64>() {
        Ok(number) => database!(state, |conn| list::find(conn, number, ledger)),
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let shown = shown(id);
        let within = ledger.map_or_else(String::new, |ledger| format!(" in ledger {ledger}"));
        let detail = format!("There is no dead letter {shown}{within}.");
        Problem::new(kinds::DEAD_LETTER_NOT_FOUND, detail)
    })
}

/// Discard a dead letter
///
/// It stays, with the reason, and is not replayed any more. Discarding it again with the same reason
/// is answered as a repeat.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/discard", tag = "dead-letters",
    params(("id" = i64, Path, description = "The letter's number.", example = "17")),
    request_body = DiscardRequest,
    responses((status = 200, description = "The letter as it stands now.", body = DeadLetterDetailView)),
)]
pub(super) async fn discard(
    State(state): State<ApiState>,
    Caller(actor): Caller,
    Scope(ledger): Scope,
    IdSegment(id): IdSegment,
    body: JsonBody,
) -> Result<Response, Problem> {
    let reason = body.read(|object| object.required::<Reason>("reason"))?;
    let number = named(&state, &id, ledger.as_deref()).await?.id;
    let now = OffsetDateTime::now_utc();
    let mut conn = state.pool().acquire().await?;
    let plan = DiscardPlan::make(&mut conn, &[number], ledger.as_deref()).await?;
    let done = discard::discard(&mut conn, &plan, &reason, &actor, now).await?;
    drop(conn);
    let view = detail(&state, &id, ledger.as_deref()).await?;
    if !done.is_empty() {
        return respond::ok(&view);
    }
    let repeated = view.letter.status == Status::Discarded.as_str()
        && view.letter.reason.as_deref() == Some(reason.as_str());
    if repeated {
        return Ok(respond::repeated(respond::ok(&view)?));
    }
    let detail = format!("Dead letter {number} was {} before.", view.letter.status);
    Err(Problem::new(kinds::DEAD_LETTER_DECIDED, detail))
}
