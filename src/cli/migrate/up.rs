//! `aegisctl migrate up`.

use anyhow::Context as _;

use super::StepView;
use crate::cli::context::{Context, schema_problem};
use crate::cli::exit::{Exit, Failure};
use crate::postgres::migrate::{self, Standing};

/// Apply the migrations that are missing
///
/// Migrations live inside the program and only go forward. A second run at the same time waits
/// for the first; a run with nothing to do is done. Shows what it applied.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl migrate up && aegisctl migrate status")]
pub(in crate::cli) struct Args {}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect_to_any_schema().await?;
    let standing = migrate::standing(&mut conn).await?;
    if let Standing::Ahead(_) = standing {
        let problem = schema_problem(standing).unwrap_or_default();
        return Err(Failure::Usage(problem).into());
    }
    let missing: Vec<i64> = migrate::steps(&mut conn)
        .await?
        .into_iter()
        .filter(|step| step.applied_at.is_none())
        .map(|step| step.version)
        .collect();
    migrate::up(&context.database()?)
        .await
        .context("the migrations could not be applied")?;
    let applied: Vec<StepView> = migrate::steps(&mut conn)
        .await?
        .into_iter()
        .filter(|step| missing.contains(&step.version))
        .map(StepView::from)
        .collect();
    let version = migrate::program_version();
    if applied.is_empty() {
        context.out.note(&format!(
            "nothing to do: the database is at version {version}"
        ));
        if context.out.format() == crate::cli::output::Format::Table {
            return Ok(Exit::Done);
        }
    }
    context.out.all(&applied)?;
    Ok(Exit::Done)
}
