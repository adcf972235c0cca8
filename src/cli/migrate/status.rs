//! `aegisctl migrate status`.

use super::StepView;
use crate::cli::context::{Context, schema_problem};
use crate::cli::exit::Exit;
use crate::postgres::migrate;

/// Show every migration and when it was applied
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl -o json migrate status")]
pub(in crate::cli) struct Args {}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect_to_any_schema().await?;
    let steps: Vec<StepView> = migrate::steps(&mut conn)
        .await?
        .into_iter()
        .map(StepView::from)
        .collect();
    context.out.all(&steps)?;
    if let Some(problem) = schema_problem(migrate::standing(&mut conn).await?) {
        context.out.note(&problem);
    }
    Ok(Exit::Done)
}
