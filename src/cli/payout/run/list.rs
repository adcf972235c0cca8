//! `aegisctl payout run list`.

use super::found;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{PageArgs, Paging};
use crate::payout_runs::RunKey;
use crate::postgres::payout_runs::{RunStatus, page};
use crate::view::PayoutRunView;

/// List runs, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run list
  aegisctl payout run list --status waiting
  aegisctl -o jsonl payout run list --all | jq -c '[.key, .failed]'")]
pub(in crate::cli) struct Args {
    /// Only those that stand so: waiting, running, finished or cancelled
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those that were started before this one
    #[arg(long, value_name = "KEY")]
    after: Option<RunKey>,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let wrong = |name: &str| {
        let words = RunStatus::ALL.map(RunStatus::as_str).join(", ");
        Failure::Usage(format!("--status {name:?} is none of {words}"))
    };
    let status = args
        .status
        .as_deref()
        .map(|name| RunStatus::from_name(name).ok_or_else(|| wrong(name)))
        .transpose()?;
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut after = match &args.after {
        Some(key) => {
            let run = found(&mut conn, &ledger, key).await?;
            Some((run.started_at, run.key))
        }
        None => None,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let found = page(&mut conn, ledger.id, status, after.as_ref(), rows).await?;
        for run in paging.take(&found) {
            after = Some((run.started_at, run.key.clone()));
            list.push(&PayoutRunView::new(&ledger, run))?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        let (_, key) = after.unwrap_or((super::now(), String::new()));
        paging.tell(&context.out, &key);
    }
    Ok(Exit::Done)
}
