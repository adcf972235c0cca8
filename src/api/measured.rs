//! What requests tell in metrics: by the pattern of their route, never by what callers wrote.

use std::time::Duration;

use axum::http::Method;
use metrics::{counter, histogram};

/// A request was answered. `route` is empty where there is none for it.
pub(super) fn answered(method: &Method, route: &str, status: u16, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        // Anybody may make one up.
        _ => "other",
    };
    let route = if route.is_empty() { "none" } else { route };
    let route = route.to_owned();
    histogram!("aegis_http_request_seconds", "method" => method, "route" => route.clone())
        .record(took.as_secs_f64());
    counter!(
        "aegis_http_requests_total",
        "method" => method, "route" => route, "status" => status.to_string()
    )
    .increment(1);
}

/// What Redis knew of a request's key.
pub(super) fn looked_up(outcome: &'static str) {
    counter!("aegis_idempotency_lookups_total", "outcome" => outcome).increment(1);
}
