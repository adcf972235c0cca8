//! Errors as callers see them: RFC 9457 `application/problem+json` with a stable code.
//!
//! A handler returns a [`Problem`]; `request::attend` writes it out, since the correlation id and
//! the path are known there. What is for the operator alone goes into `cause`, which is logged
//! and never answered.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::kinds::{self, Kind};
use super::schema::{FieldProblem, ProblemDocument};
use crate::dlq::DlqError;
use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::payments::{PaymentError, Refused};
use crate::payouts::PayoutError;
use crate::postgres::{Failure, classify};
use crate::psp::PspError;
use crate::reconcile::ReconcileError;
use crate::refunds::RefundError;
use crate::settlement::SettlementError;

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub kind: Kind,
    pub detail: Cow<'static, str>,
    pub errors: Vec<FieldProblem>,
    retry_after_s: Option<u32>,
    /// For the log only.
    pub cause: Option<String>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            cause: None,
        }
    }

    /// An error of ours: the caller learns that it happened, the log learns what.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        let detail = "The request could not be completed. The log holds the reason under the \
                      correlation id.";
        Self::new(kinds::INTERNAL, detail).caused_by(cause)
    }

    /// A rule's no, by its code.
    pub(super) fn of_rule(code: &'static str, detail: String) -> Self {
        match kinds::of_rule(code) {
            Some(kind) => Self::new(kind, detail),
            None => Self::internal(format!("the code {code} is not among the kinds")),
        }
    }

    pub(super) fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The answer, with what only the request knows.
    pub(super) fn answer(self, instance: &str, correlation_id: &str) -> Response {
        let body = ProblemDocument {
            kind: format!("/docs#{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            code: self.kind.code,
            detail: &self.detail,
            instance,
            errors: &self.errors,
            correlation_id,
        };
        // Strings and numbers can always be written.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response =
            (self.status(), [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Carries the problem to `request::attend`.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        Self::new(Kind::of_rejection(rejection.code), rejection.detail)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match classify(&error) {
            Failure::Lost => database_unavailable("The database can't be reached. Try again.")
                .caused_by(error.to_string()),
            Failure::Conflict => contended().caused_by(error.to_string()),
            Failure::Exhausted => database_exhausted().caused_by(error.to_string()),
            Failure::Unique | Failure::Permanent => Self::internal(error.to_string()),
        }
    }
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        let cause = error.to_string();
        let problem = match error {
            PostError::Unavailable { .. } => database_unavailable(
                "The database can't be reached. Whether the request took effect is unknown: send \
                 it again with the same Idempotency-Key, which posts it once at most.",
            ),
            PostError::Contended { .. } => contended(),
            PostError::Exhausted(_) => database_exhausted(),
            PostError::Overloaded => overloaded(),
            PostError::Stopping => Self::new(
                kinds::STOPPING,
                "This instance is stopping. Nothing took effect; send it again.",
            )
            .retry_after(1),
            // Work within a transaction of its own has it as it came, whatever kind it is of.
            PostError::Database(error) => match classify(&error) {
                Failure::Lost => database_unavailable("The database can't be reached. Try again."),
                Failure::Conflict => contended(),
                Failure::Exhausted => database_exhausted(),
                Failure::Unique | Failure::Permanent => return Self::internal(cause),
            },
            PostError::Event(_) => return Self::internal(cause),
        };
        problem.caused_by(cause)
    }
}

impl From<PayoutError> for Problem {
    fn from(error: PayoutError) -> Self {
        let told = error.to_string();
        match error {
            PayoutError::Database(error) => error.into(),
            PayoutError::Post(error) => error.into(),
            PayoutError::NotFound(id) => {
                Self::new(kinds::PAYOUT_NOT_FOUND, format!("There is no payout {id}."))
            }
            PayoutError::Refused { rejection, .. } => Self::from(rejection),
            PayoutError::Event(_) => Self::internal(told),
        }
    }
}

impl From<ReconcileError> for Problem {
    fn from(error: ReconcileError) -> Self {
        let told = error.to_string();
        match error {
            ReconcileError::Database(error) => error.into(),
            ReconcileError::Post(error) => error.into(),
            ReconcileError::Payout(error) => error.into(),
            ReconcileError::Unusable(_) => Self::new(kinds::STATEMENT_UNUSABLE, told),
            ReconcileError::Busy { .. } => Self::new(kinds::RECONCILIATION_RUNNING, told),
            ReconcileError::Refused {
                code: "discrepancy_not_found",
                detail,
            } => Self::new(kinds::DISCREPANCY_NOT_FOUND, detail),
            ReconcileError::Refused { code, detail } => Self::of_rule(code, detail),
        }
    }
}

impl From<SettlementError> for Problem {
    fn from(error: SettlementError) -> Self {
        let told = error.to_string();
        match error {
            SettlementError::Database(error) => error.into(),
            SettlementError::Post(error) => error.into(),
            SettlementError::Refused(_)
            | SettlementError::TooLarge
            | SettlementError::Calendar(_) => Self::internal(told),
        }
    }
}

impl From<PaymentError> for Problem {
    fn from(error: PaymentError) -> Self {
        let told = error.to_string();
        match error {
            PaymentError::Database(error) => error.into(),
            PaymentError::Post(error) => error.into(),
            PaymentError::Psp(error) => {
                let wait = match &error {
                    PspError::TurnedAway(turned) => turned.retry_after.as_secs(),
                    PspError::RateLimited { retry_after } => {
                        retry_after.map_or(5, |wait| wait.as_secs())
                    }
                    _ => 5,
                };
                let seconds = u32::try_from(wait).unwrap_or(u32::MAX).max(1);
                let detail = format!("The PSP was asked: {error}. Nothing changed; try again.");
                Self::new(kinds::PSP_UNAVAILABLE, detail).retry_after(seconds)
            }
            PaymentError::Payout(error) => error.into(),
            PaymentError::Refund(error) => error.into(),
            PaymentError::Refused(_) | PaymentError::Calendar { .. } => Self::internal(told),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let code = refused.code;
        match kinds::of_rule(code) {
            Some(kind) => Self::new(kind, refused.detail),
            None => Self::internal(format!("the code {code} is not among the kinds")),
        }
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        let told = error.to_string();
        match error {
            RefundError::Database(error) => error.into(),
            RefundError::Post(error) => error.into(),
            RefundError::Refused { rejection, .. } => Self::from(rejection),
            RefundError::NotFound(id) => {
                Self::new(kinds::REFUND_NOT_FOUND, format!("There is no refund {id}."))
            }
            RefundError::PaymentNotFound(id) => Self::new(
                kinds::PAYMENT_NOT_FOUND,
                format!("There is no payment {id}."),
            ),
            _ => Self::internal(told),
        }
    }
}

impl From<DlqError> for Problem {
    fn from(error: DlqError) -> Self {
        let told = error.to_string();
        match error {
            DlqError::Busy { .. } => {
                let detail = format!("Nothing was done: {told}. Try again once it has ended.");
                Self::new(kinds::REPLAY_RUNNING, detail)
            }
            DlqError::Bus(_) => {
                bus_unavailable("The bus can't be reached. Nothing was done; try again.")
                    .caused_by(told)
            }
            DlqError::NobodyListens(_) => bus_unavailable(format!("Nothing was done: {told}.")),
            DlqError::Database(error) | DlqError::Lost { source: error, .. } => error.into(),
        }
    }
}

/// The bus is away, and what was asked for needs it.
pub(super) fn bus_unavailable(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(kinds::BUS_UNAVAILABLE, detail).retry_after(5)
}

fn database_unavailable(detail: &'static str) -> Problem {
    Problem::new(kinds::DATABASE_UNAVAILABLE, detail).retry_after(2)
}

/// There is something for an operator to do first.
fn database_exhausted() -> Problem {
    let detail = "The database has no room to work. Nothing took effect; send it again later.";
    Problem::new(kinds::DATABASE_EXHAUSTED, detail).retry_after(30)
}

/// More is asked for at once than can be done.
pub(super) fn overloaded() -> Problem {
    let detail = "Too many requests wait already. Nothing took effect; send it again later.";
    Problem::new(kinds::OVERLOADED, detail).retry_after(1)
}

fn contended() -> Problem {
    let detail = "Others were in the way, or the database took too long. Nothing took effect; send \
                  it again.";
    Problem::new(kinds::CONTENDED, detail).retry_after(1)
}
