//! Whether the loops of this instance turn, which only a new start mends where they don't.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::readiness::CheckStatus;

/// A loop that the work of this instance goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoopStanding {
    /// `relay` or `committer`.
    pub name: &'static str,
    /// `ok`, or `failed` where it has not turned for too long.
    pub status: CheckStatus,
    /// Milliseconds since it turned, or had nothing to do.
    pub idle_ms: u64,
}

impl LoopStanding {
    /// A loop that turned so long ago, and is stuck after that long.
    #[must_use]
    pub fn new(name: &'static str, idle: Duration, stuck_after: Duration) -> Self {
        let status = match idle > stuck_after {
            true => CheckStatus::Failed,
            false => CheckStatus::Ok,
        };
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        Self {
            name,
            status,
            idle_ms,
        }
    }
}

/// How the loops stand, and the worst of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Liveness {
    /// `failed` where one is stuck.
    pub status: CheckStatus,
    /// Each; none where nothing has been looked at yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loops: Vec<LoopStanding>,
}

impl Liveness {
    /// What the loops come to.
    #[must_use]
    pub fn new(loops: Vec<LoopStanding>) -> Self {
        let worst = loops.iter().map(|one| one.status).max();
        Self {
            status: worst.unwrap_or_default(),
            loops,
        }
    }
}
