//! `aegisctl payout run items`.

use super::{KeyArgs, found};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{PageArgs, Paging};
use crate::postgres::payout_runs::items::{self, Outcome};
use crate::view::PayoutRunItemView;

/// List the payouts of a run
///
/// In the order of its list.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run items 2026-11-22-evening --outcome failed
  aegisctl -o csv payout run items 2026-11-22-evening --all > evening.csv")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    key: KeyArgs,
    /// Only those that came to this: waiting, succeeded, failed, unknown or cancelled
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only those behind this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: i32,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let outcomes = match args.outcome.as_deref() {
        None => Outcome::ALL.to_vec(),
        Some(name) => vec![Outcome::from_name(name).ok_or_else(|| {
            let words = Outcome::ALL.map(Outcome::as_str).join(", ");
            Failure::Usage(format!("--outcome {name:?} is none of {words}"))
        })?],
    };
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let run = found(&mut conn, &ledger, args.key.get()?).await?;
    let (currency, mut after) = (run.currency.to_string(), args.after);
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let found = items::page(&mut conn, ledger.id, &run.key, &outcomes, after, rows).await?;
        for item in paging.take(&found) {
            after = item.number;
            list.push(&PayoutRunItemView::new(&currency, item.clone()))?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        paging.tell(&context.out, &after.to_string());
    }
    Ok(Exit::Done)
}
