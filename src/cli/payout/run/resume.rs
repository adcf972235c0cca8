//! `aegisctl payout run resume`.

use super::carry::{Way, pay, read};
use super::{KeyArgs, desk};
use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Go on with a run that stopped
///
/// Takes the list that was frozen: what was not requested yet is, what is not at its end is looked
/// after. One that is finished is left as it is. `start` under the same key does the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run resume --key 2026-11-22-evening
  aegisctl --yes -o json payout run resume --key 2026-11-22-evening

Exit codes: 0 all payouts succeeded, or there was nothing to do; 3 it waits for approval, was
cancelled, or there is no such run; 5 some failed, are unknown or still on their way; 6 it is in
progress elsewhere; 8 declined, or no terminal to ask on; 130 interrupted, at a safe point.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArgs,
    /// Show the run, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let ledger = context.ledger_unless_interrupted().await?;
    let key = args.key.get()?;
    let run = read(context, &ledger, key).await?;
    if let Some(refusal) = crate::payout_runs::approval_missing(&run) {
        return Err(super::refused(refusal).into());
    }
    let way = Way::GoOn {
        dry_run: args.dry_run,
    };
    pay(context, desk, &ledger, run, way).await
}
