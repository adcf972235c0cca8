//! `aegisctl payout run cancel`.

use super::carry::read;
use super::summary::{counts, print};
use super::{KeyArgs, amounts, now, refused};
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Table;
use crate::cli::who;
use crate::dlq::discard::Reason;
use crate::payout_runs::{self, Decided};
use crate::view::PayoutRunView;

/// Give up what a run has not requested yet
///
/// Payouts that were requested go on to their ends. A run that is in progress stops by itself. Nothing
/// is ever paid under the key again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run cancel --key 2026-11-22-evening --reason 'wrong list, ticket 4711'

Exit codes: 0 it is cancelled, now or before; 3 all its payouts are requested, or there is no such
run; 8 declined, or no terminal to ask on.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArgs,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Show the run, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let ledger = context.ledger_unless_interrupted().await?;
    let key = args.key.get()?;
    let run = read(context, &ledger, key).await?;
    if args.dry_run {
        print(context, &ledger, &run).await?;
        context.out.note("nothing was done");
        return Ok(Exit::Done);
    }
    let view = PayoutRunView::new(&ledger, &run);
    confirm::show(context, &Table::of(std::slice::from_ref(&view)));
    let question = format!(
        "Give up what payout run {key}, {}, has not paid?",
        amounts(&run)
    );
    confirm(context, &question).await?;
    let (pool, config) = (context.database()?.pool(), context.config());
    let (topic, actor) = (&config.kafka.topic_settlements, who::operator());
    let reason = args.reason.as_str();
    let decided = payout_runs::cancel(&pool, topic, &ledger, key, reason, &actor, now()).await?;
    let run = match decided {
        Decided::Now(run) | Decided::Before(run) => run,
        Decided::Refused(refusal) => return Err(refused(refusal).into()),
    };
    print(context, &ledger, &run).await?;
    context
        .out
        .note(&format!("payout run {key} is cancelled: {}", counts(&run)));
    Ok(Exit::Done)
}
