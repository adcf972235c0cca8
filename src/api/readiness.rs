//! Whether this instance can do its work, check by check.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use crate::resilience::breaker::BreakerReport;

/// How a part stands. The order is from well to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Works.
    #[default]
    Ok,
    /// Away, and requests are served without it.
    Degraded,
    /// Away, and requests can't be served.
    Failed,
}

/// One part that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// Such as `database`, `redis`, `kafka`, `relay`.
    pub name: Cow<'static, str>,
    /// How it stands.
    pub status: CheckStatus,
    /// Why, where it is not well. Read by anyone: no addresses, no secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'static, str>>,
}

impl Check {
    /// A part that works.
    pub fn ok(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            status: CheckStatus::Ok,
            detail: None,
        }
    }

    /// A part that requests are served without.
    pub fn degraded(
        name: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let detail = Some(detail.into());
        Self {
            name: name.into(),
            status: CheckStatus::Degraded,
            detail,
        }
    }

    /// A part without which requests can't be served.
    pub fn failed(
        name: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let detail = Some(detail.into());
        Self {
            name: name.into(),
            status: CheckStatus::Failed,
            detail,
        }
    }
}

/// A dependency's circuit breaker: after failures in a row it is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BreakerStanding {
    /// The dependency, such as `redis`, `kafka`.
    pub name: &'static str,
    /// `closed` (calls pass), `open` (calls are turned away) or `half_open` (one call finds out).
    pub state: &'static str,
    /// Failures in a row, while closed.
    pub failures: u32,
    /// While open, how many milliseconds until a call passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// How often it opened since the start of the process.
    pub opened_total: u64,
    /// Calls turned away since the start of the process.
    pub turned_away_total: u64,
}

impl From<BreakerReport> for BreakerStanding {
    fn from(report: BreakerReport) -> Self {
        let ms = |wait: std::time::Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            name: report.name,
            state: report.state.as_str(),
            failures: report.failures,
            retry_after_ms: report.retry_after.map(ms),
            opened_total: report.opened_total,
            turned_away_total: report.turned_away_total,
        }
    }
}

/// All checks, and the worst of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// The worst status of all checks.
    pub status: CheckStatus,
    /// Each part.
    pub checks: Vec<Check>,
    /// The breakers of this instance. An open one degrades its check, not more.
    pub breakers: Vec<BreakerStanding>,
}

impl Readiness {
    /// What the checks come to.
    #[must_use]
    pub fn new(checks: Vec<Check>) -> Self {
        let status = checks
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or_default();
        let breakers = Vec::new();
        Self {
            status,
            checks,
            breakers,
        }
    }

    /// The same with these breakers.
    #[must_use]
    pub fn with_breakers(self, breakers: Vec<BreakerStanding>) -> Self {
        Self { breakers, ..self }
    }

    /// The same with one more check, in front.
    #[must_use]
    pub(super) fn with_first(self, check: Check) -> Self {
        let mut checks = vec![check];
        checks.extend(self.checks);
        Self::new(checks).with_breakers(self.breakers)
    }
}
