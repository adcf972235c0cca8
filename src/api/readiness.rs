//! Whether this instance can do its work, check by check.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

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

/// All checks, and the worst of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// The worst status of all checks.
    pub status: CheckStatus,
    /// Each part.
    pub checks: Vec<Check>,
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
        Self { status, checks }
    }

    /// The same with one more check, in front.
    #[must_use]
    pub(super) fn with_first(self, check: Check) -> Self {
        let mut checks = vec![check];
        checks.extend(self.checks);
        Self::new(checks)
    }
}
