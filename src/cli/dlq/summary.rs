//! How a replay ended, for people and for programs.

use std::time::Duration;

use serde::Serialize;

use super::letters;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Format, Record};
use crate::dlq::plan::Plan;
use crate::dlq::replay::{Ending, Report};
use crate::dlq::runs::Account;
use crate::view::{LeftOutView, ReplayFailureView, ReplayView};

/// What came of a replay.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// The run; none where there was nothing to do.
    pub run: Option<i64>,
    /// `done`, `cancelled` or `interrupted`; `nothing` where there was nothing to do.
    pub status: &'static str,
    pub total: i64,
    pub replayed: i64,
    pub failed: i64,
    /// Letters that somebody else decided on after the plan was made.
    pub decided_meanwhile: i64,
    pub left_out_count: usize,
    pub left_out: Vec<LeftOutView>,
    pub failures: Vec<ReplayFailureView>,
    pub ending: Option<String>,
    pub seconds: f64,
    #[serde(skip)]
    bus_away: bool,
    #[serde(skip)]
    refused: usize,
}

impl Record for Summary {
    const COLUMNS: &'static [Column] = &[
        Column::number("run"),
        Column::text("status"),
        Column::number("total"),
        Column::number("replayed"),
        Column::number("failed"),
        Column::number("left_out"),
        Column::text("ending"),
        Column::number("seconds"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let left_out = i64::try_from(self.left_out_count).unwrap_or(i64::MAX);
        vec![
            self.run.map_or(Cell::Absent("-"), Cell::from),
            self.status.into(),
            self.total.into(),
            self.replayed.into(),
            self.failed.into(),
            left_out.into(),
            Cell::optional(self.ending.as_deref()),
            format!("{:.3}", self.seconds).into(),
        ]
    }
}

impl Summary {
    /// Where there was nothing to do.
    pub(super) fn nothing(plan: &Plan) -> Self {
        Self {
            run: None,
            status: "nothing",
            total: 0,
            replayed: 0,
            failed: 0,
            decided_meanwhile: 0,
            left_out_count: plan.left_out.len(),
            left_out: LeftOutView::first_of(plan),
            failures: Vec::new(),
            ending: None,
            seconds: 0.0,
            bus_away: false,
            refused: plan.refused(),
        }
    }

    /// Of a run that ended here, and the plan that it carried out.
    pub(super) fn here(report: Report, plan: &Plan, took: Duration) -> Self {
        let failures = report.failures.into_iter();
        Self {
            run: Some(report.run),
            status: report.ending.status().as_str(),
            total: report.counts.total,
            replayed: report.counts.replayed,
            failed: report.counts.failed,
            decided_meanwhile: report.counts.dropped,
            failures: failures
                .map(|(id, reason)| ReplayFailureView { id, reason })
                .collect(),
            bus_away: matches!(report.ending, Ending::BusAway(_)),
            ending: Some(report.ending.told()),
            seconds: rounded(took.as_secs_f64()),
            ..Self::nothing(plan)
        }
    }

    /// Of a run that ended elsewhere, and the plan that it carried out.
    pub(super) fn elsewhere(account: Account, plan: &Plan) -> Self {
        let bus_away = account.bus_away;
        let run = ReplayView::from(account);
        let ended = run.finished_at.unwrap_or(run.updated_at);
        let planned = i64::try_from(plan.letters.len()).unwrap_or(i64::MAX);
        Self {
            run: Some(run.id),
            status: run.status,
            total: run.total,
            replayed: run.replayed,
            failed: run.failed,
            decided_meanwhile: planned.saturating_sub(run.total),
            failures: run.failures,
            ending: run.ending,
            bus_away,
            seconds: rounded((ended - run.started_at).as_seconds_f64()),
            ..Self::nothing(plan)
        }
    }

    fn told(&self) -> String {
        let mut told = format!("replayed {} of {}", self.replayed, letters(self.total));
        if self.failed > 0 {
            told.push_str(&format!(", {} failed", self.failed));
        }
        if self.decided_meanwhile > 0 {
            let count = self.decided_meanwhile;
            told.push_str(&format!(", {count} decided on by somebody else meanwhile"));
        }
        if self.left_out_count > 0 {
            told.push_str(&format!(", {} left out", self.left_out_count));
        }
        if let Some(run) = self.run {
            told.push_str(&format!(" (replay {run}, {:.1} s)", self.seconds));
        }
        told
    }

    /// Says it, and ends with what it means for the exit code.
    pub(super) fn end(&self, context: &Context) -> anyhow::Result<Exit> {
        if context.out.format() != Format::Table {
            context.out.record(self)?;
        }
        let waiting = "the rest waits: go on with the same command";
        match (self.status, self.ending.as_deref()) {
            ("nothing", _) => context.out.note("nothing to replay"),
            ("done", _) => context.out.note(&self.told()),
            ("cancelled", _) => {
                let message = format!("cancelled; {}; {waiting}", self.told());
                return Err(Failure::Interrupted(message).into());
            }
            (_, Some(away)) if self.bus_away => {
                let message = format!("{away}; {}; {waiting} once it is back", self.told());
                return Err(Failure::Unreachable(message).into());
            }
            _ => {
                let message = format!("{}; {waiting}", self.told());
                return Err(Failure::Interrupted(message).into());
            }
        }
        Ok(match self.failed > 0 || self.refused > 0 {
            true => Exit::Partly,
            false => Exit::Done,
        })
    }
}

/// To milliseconds, which is as much as anybody wants to read.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// There is no replay of that number.
pub(super) fn no_replay(id: i64) -> Failure {
    Failure::Rejected {
        code: "replay_not_found",
        detail: format!("there is no replay {id}: `aegisctl dlq replays` lists them"),
    }
}
