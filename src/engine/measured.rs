//! What posting tells in metrics: how long each step takes, how much goes together, and what came of
//! it. Counted where it is known, so that callers who stopped waiting are counted as well.

use std::time::Instant;

use metrics::{counter, gauge, histogram};

use super::PostError;
use crate::ledger::Outcome;

/// The time of an attempt, step by step.
pub(super) struct Steps(Instant);

impl Steps {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// A step is done; the next one begins.
    pub(super) fn done(&mut self, step: &'static str) {
        let now = Instant::now();
        let took = now.duration_since(self.0);
        histogram!("aegis_posting_seconds", "step" => step).record(took);
        self.0 = now;
    }
}

/// A request's batch begins.
pub(super) fn taken_up(queued_at: Instant) {
    histogram!("aegis_posting_seconds", "step" => "queue").record(queued_at.elapsed());
}

/// How many commands one database transaction is to take.
pub(super) fn batch(commands: usize) {
    histogram!("aegis_posting_batch_commands").record(whole(commands));
}

/// A batch is committed.
pub(super) fn committed(way: &'static str) {
    counter!("aegis_posting_commits_total", "way" => way).increment(1);
}

/// An attempt is to be made again.
pub(super) fn again(reason: &'static str) {
    counter!("aegis_posting_retries_total", "reason" => reason).increment(1);
}

/// What became of commands.
pub(super) fn outcomes(outcomes: &[Outcome]) {
    let (mut posted, mut replayed, mut rejected) = (0, 0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Posted(_) => posted += 1,
            Outcome::Replayed(_) => replayed += 1,
            Outcome::Rejected(rejection) => {
                rejected += 1;
                let code = rejection.code.as_str();
                counter!("aegis_posting_rejections_total", "code" => code).increment(1);
            }
        }
    }
    let all = [
        ("posted", posted),
        ("replayed", replayed),
        ("rejected", rejected),
    ];
    for (outcome, count) in all.into_iter().filter(|(_, count)| *count > 0) {
        counter!("aegis_posting_commands_total", "outcome" => outcome).increment(count);
    }
}

/// A caller has its answer.
pub(super) fn answered(asked_at: Instant, error: Option<&PostError>) {
    histogram!("aegis_posting_request_seconds").record(asked_at.elapsed());
    let Some(error) = error else { return };
    let kind = match error {
        PostError::Unavailable { .. } => "unavailable",
        PostError::Contended { .. } => "contended",
        PostError::Exhausted(_) => "exhausted",
        PostError::Overloaded => "overloaded",
        PostError::Stopping => "stopping",
        PostError::Database(_) => "database",
        PostError::Event(_) => "event",
    };
    counter!("aegis_posting_errors_total", "kind" => kind).increment(1);
}

/// How many commands wait or are at work, and how many may.
pub(super) fn queue(commands: usize, limit: usize) {
    gauge!("aegis_posting_queue_commands").set(whole(commands));
    gauge!("aegis_posting_queue_limit_commands").set(whole(limit));
}

/// Bounds keep all of them far below.
fn whole(commands: usize) -> u32 {
    u32::try_from(commands).unwrap_or(u32::MAX)
}
