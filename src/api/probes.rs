//! Liveness and readiness, for whoever restarts and routes.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::ApiState;
use super::problem::Problem;
use super::readiness::{Check, CheckStatus, Readiness};
use super::respond;
use super::schema::Alive;
use crate::postgres;
use crate::telemetry::Metrics;

/// A probe that waits is as good as one that fails.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the process answers
///
/// Says nothing of what it depends on: a restart would mend none of that.
#[utoipa::path(get, path = "/livez", tag = "probes", responses(
    (status = 200, description = "It answers.", body = Alive),
))]
pub(super) async fn live() -> Result<Response, Problem> {
    respond::ok(&Alive {
        status: CheckStatus::Ok,
    })
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
    let status = match readiness.status {
        CheckStatus::Failed => StatusCode::SERVICE_UNAVAILABLE,
        CheckStatus::Ok | CheckStatus::Degraded => StatusCode::OK,
    };
    respond::json(status, &readiness)
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
    match tokio::time::timeout(PING_TIMEOUT, postgres::ping(state.pool())).await {
        Ok(Ok(())) => Check::ok("database"),
        Ok(Err(_)) => Check::failed("database", "can't be reached"),
        Err(_) => Check::failed("database", format!("no answer within {PING_TIMEOUT:?}")),
    }
}
