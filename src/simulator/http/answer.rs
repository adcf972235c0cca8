//! Answers in Paystack's form, and the ways in which they go wrong.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::server::CutInstead;
use crate::simulator::books::No;
use crate::simulator::fault::Fault;

/// A call that is never answered is cut after so long.
const HOLD_MAX: Duration = Duration::from_secs(300);

/// A yes: the message and the data.
pub(super) type Yes = (&'static str, Value);

/// The answer to a call that took effect or was refused.
pub(super) fn answer(result: Result<Yes, No>) -> Response {
    match result {
        Ok((message, data)) => {
            let body = json!({ "status": true, "message": message, "data": data });
            json_response(StatusCode::OK, &body)
        }
        Err(no) => refusal(&no),
    }
}

pub(super) fn refusal(no: &No) -> Response {
    let body = json!({
        "status": false,
        "message": no.message,
        "meta": { "nextStep": "See https://paystack.com/docs/api/errors/" },
        "type": "validation_error",
        "code": no.code,
    });
    let status = StatusCode::from_u16(no.status).unwrap_or(StatusCode::BAD_REQUEST);
    json_response(status, &body)
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, body.to_string()).into_response()
}

pub(super) async fn no_such_route() -> Response {
    refusal(&No {
        status: 404,
        code: "not_found",
        message: "The simulator has no such route: GET /simulator lists them".to_owned(),
    })
}

/// The faults that a request asks for by its header `x-simulator-fault`.
pub(super) fn asked(headers: &HeaderMap) -> Result<Vec<Fault>, No> {
    let Some(header) = headers.get("x-simulator-fault") else {
        return Ok(Vec::new());
    };
    let words = header.to_str().unwrap_or_default().split(',');
    let faults: Result<_, String> = words.map(|word| word.trim().parse()).collect();
    faults.map_err(|message| No {
        status: 422,
        code: "unknown_fault",
        message,
    })
}

impl App {
    /// Answers, or goes wrong.
    pub(super) async fn answer_with(
        &self,
        trouble: Option<Fault>,
        result: Option<Result<Yes, No>>,
    ) -> Response {
        let good = result.map_or_else(cut, answer);
        match trouble {
            None => good,
            Some(Fault::Slow) => {
                self.wait(self.shared.options.late).await;
                good
            }
            Some(Fault::RateLimit) => {
                let body = json!({
                    "status": false,
                    "message": "Please wait a few minutes and try again.",
                    "type": "validation_error",
                    "code": "rate_limited",
                });
                let mut response = json_response(StatusCode::TOO_MANY_REQUESTS, &body);
                let second = header::HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, second);
                response
            }
            Some(Fault::ServerError) => {
                let body = json!({ "status": false, "message": "An error occurred" });
                json_response(StatusCode::INTERNAL_SERVER_ERROR, &body)
            }
            Some(Fault::Garbage) => {
                let html = [(header::CONTENT_TYPE, "text/html")];
                let page = "<html><body><h1>We'll be right back</h1></body></html>";
                (StatusCode::OK, html, page).into_response()
            }
            Some(Fault::Cut) => broken_off(),
            Some(Fault::Timeout) => {
                self.wait(HOLD_MAX).await;
                cut()
            }
            Some(_) => cut(),
        }
    }

    async fn wait(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shared.stop.cancelled() => {}
        }
    }
}

/// No answer at all.
fn cut() -> Response {
    let mut response = StatusCode::OK.into_response();
    response.extensions_mut().insert(CutInstead);
    response
}

/// The head of an answer and the beginning of its body.
fn broken_off() -> Response {
    let beginning = Ok(Bytes::from_static(b"{\"status\":true,\"mess"));
    let end = Err(std::io::Error::other("cut on request"));
    let body = Body::from_stream(futures_util::stream::iter([beginning, end]));
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_LENGTH, "4096"),
    ];
    (StatusCode::OK, head, body).into_response()
}
