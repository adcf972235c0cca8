//! Liveness and readiness, for whoever restarts and routes.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::ApiState;
use super::liveness::Liveness;
use super::problem::Problem;
use super::readiness::{Check, CheckStatus, Readiness};
use super::respond;
use super::schema::Started;
use crate::postgres;
use crate::telemetry::Metrics;

/// A probe that waits is as good as one that fails.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the process answers and its loops turn
///
/// Says nothing of what it depends on: a restart would mend none of that.
#[utoipa::path(get, path = "/livez", tag = "probes", responses(
    (status = 200, description = "It answers, and its loops turn.", body = Liveness),
    (status = 503, description = "A loop is stuck: only a new start mends that.", body = Liveness),
))]
pub(super) async fn live(State(state): State<ApiState>) -> Result<Response, Problem> {
    let liveness = state.liveness();
    respond::json(code_of(liveness.status), &liveness)
}

/// Whether the process has started
///
/// It listens once its database has the right schema and its parts run; this waits for the first
/// look at all it depends on as well, however that looks.
#[utoipa::path(get, path = "/startupz", tag = "probes", responses(
    (status = 200, description = "It has started.", body = Started),
    (status = 503, description = "Not yet.", body = Started),
))]
pub(super) async fn started(State(state): State<ApiState>) -> Result<Response, Problem> {
    let status = match state.readiness().checks.is_empty() {
        true => CheckStatus::Failed,
        false => CheckStatus::Ok,
    };
    respond::json(code_of(status), &Started { status })
}

fn code_of(status: CheckStatus) -> StatusCode {
    match status {
        CheckStatus::Failed => StatusCode::SERVICE_UNAVAILABLE,
        CheckStatus::Ok | CheckStatus::Degraded => StatusCode::OK,
    }
}

/// Whether requests can be served
///
/// Lists each part that was looked at. Degraded parts are served without.
#[utoipa::path(get, path = "/readyz", tag = "probes", responses(
    (status = 200, description = "Requests are served; `degraded` where a part is away.", body = Readiness),
    (status = 503, description = "Requests can't be served.", body = Readiness),
))]
pub(super) async fn ready(State(state): State<ApiState>) -> Result<Response, Problem> {
    let readiness = state.readiness().with_first(database(&state).await);
    respond::json(code_of(readiness.status), &readiness)
}

/// What Prometheus reads
///
/// In its text format.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses(
    (status = 200, description = "Every metric.", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let text = state.metrics().map_or_else(String::new, Metrics::render);
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn database(state: &ApiState) -> Check {
    match postgres::ping(state.pool(), PING_TIMEOUT).await {
        Some(Ok(())) => Check::ok("database"),
        Some(Err(_)) => Check::failed("database", "can't be reached"),
        None => Check::failed("database", format!("no answer within {PING_TIMEOUT:?}")),
    }
}
