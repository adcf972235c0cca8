//! `aegisctl payout run approve`.

use super::carry::{Way, pay, read};
use super::summary::print;
use super::{KeyArgs, amounts, desk, now, refused};
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Table;
use crate::cli::who;
use crate::ledger::Ledger;
use crate::payout_runs::{self, Decided, RunKey};
use crate::postgres::payout_runs::{Run, RunStatus};
use crate::view::PayoutRunView;

/// Approve of a run that waits, as somebody else than who started it, and pay it
///
/// Shows the run and asks. Who approves is the account that runs this command, or became root by sudo
/// to do so; whoever started the run is refused, and whose name can't be told. The payments follow at
/// once, unless --only leaves them to the next `start` or `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run approve --key 2026-11-22-evening
  aegisctl payout run approve --key 2026-11-22-evening --only

Exit codes: 0 it is approved and all payouts succeeded, or it was before; 3 whoever started it can't
approve of it, nor somebody unknown; it was cancelled, or there is no such run; 5 some failed, are
unknown or still on their way; 8 declined, or no terminal to ask on; 130 interrupted, at a safe point.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArgs,
    /// Approve, and pay nothing now
    #[arg(long)]
    only: bool,
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
    let (run, way) = match run.status {
        RunStatus::Waiting => {
            if !args.only {
                // What is not to be had is said before anything is decided.
                desk(context)?;
            }
            (decide(context, &ledger, key, &run).await?, Way::Begin)
        }
        _ => (run, Way::GoOn { dry_run: false }),
    };
    if args.only && run.status == RunStatus::Running {
        print(context, &ledger, &run).await?;
        context.out.note(&format!(
            "payout run {key} is approved; `aegisctl payout run resume --key {key}` pays it"
        ));
        return Ok(Exit::Done);
    }
    pay(context, desk, &ledger, run, way).await
}

async fn decide(
    context: &Context,
    ledger: &Ledger,
    key: &RunKey,
    run: &Run,
) -> anyhow::Result<Run> {
    let actor = who::operator();
    if let Some(refusal) = payout_runs::approval_by(run, &actor) {
        return Err(refused(refusal).into());
    }
    let view = PayoutRunView::new(ledger, run);
    confirm::show(context, &Table::of(std::slice::from_ref(&view)));
    if let Some(reason) = &run.approval_reason {
        context.out.note(&format!("it waits, since {reason}"));
    }
    let question = format!("Approve of payout run {key}, {}?", amounts(run));
    confirm(context, &question).await?;
    let (pool, config) = (context.database()?.pool(), context.config());
    let topic = &config.kafka.topic_settlements;
    let decided = payout_runs::approve(&pool, topic, ledger, key, false, &actor, now()).await?;
    match decided {
        Decided::Now(run) | Decided::Before(run) => Ok(run),
        Decided::Refused(refusal) => Err(refused(refusal).into()),
    }
}
