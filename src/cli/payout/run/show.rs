//! `aegisctl payout run show`.

use super::summary::print;
use super::{KeyArgs, found};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::postgres::payout_runs::{RunStatus, lock};

/// Show a run, and what did not succeed
///
/// The counts are of this moment: what aegisd, a webhook or a person ends after the run counts as it
/// ended.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run show 2026-11-22-evening
  aegisctl -o json payout run show 2026-11-22-evening | jq .failed")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let key = args.key.get()?;
    let run = found(&mut conn, &ledger, key).await?;
    print(context, &ledger, &run).await?;
    if run.status == RunStatus::Running {
        let taken = lock::is_taken(&mut conn, ledger.id, key.as_str()).await?;
        context.out.note(&match taken {
            true => "somebody works on it".to_owned(),
            false => format!(
                "nobody works on it; `aegisctl payout run resume --key {key}` goes on with it"
            ),
        });
    }
    Ok(Exit::Done)
}
