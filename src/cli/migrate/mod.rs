//! `aegisctl migrate`.

mod status;
mod up;

use super::context::Context;
use super::exit::Exit;
use super::output::{Cell, Column, Record};
use crate::postgres::migrate::Step;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl migrate status
  aegisctl migrate up")]
pub(super) enum Command {
    /// Apply the migrations that are missing
    Up(up::Args),
    /// Show every migration and when it was applied
    Status(status::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Up(args) => up::run(context, &args).await,
        Command::Status(args) => status::run(context, &args).await,
    }
}

/// A migration as it is shown.
#[derive(serde::Serialize)]
struct StepView {
    version: i64,
    name: String,
    status: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    applied_at: Option<time::OffsetDateTime>,
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        Self {
            version: step.version,
            name: step.name,
            status: if step.applied_at.is_some() {
                "applied"
            } else {
                "missing"
            },
            applied_at: step.applied_at,
        }
    }
}

impl Record for StepView {
    const COLUMNS: &'static [Column] = &[
        Column::number("version"),
        Column::text("name"),
        Column::text("status"),
        Column::text("applied_at"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.version.into(),
            self.name.as_str().into(),
            self.status.into(),
            self.applied_at.map_or(Cell::Absent("-"), Cell::Time),
        ]
    }
}
