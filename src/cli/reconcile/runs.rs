//! `aegisctl reconcile runs`.

use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::postgres::reconciliations;
use crate::view::ReconciliationView;

/// List runs, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl reconcile runs --wallet psp:paystack")]
pub(in crate::cli) struct Args {
    /// Only those over a wallet's statements, such as psp:paystack
    #[arg(long, value_name = "ADDRESS")]
    wallet: Option<String>,
    /// Only those older than this one
    #[arg(long, value_name = "RUN")]
    after: Option<Uuid>,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut after = args.after;
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let wallet = args.wallet.as_deref();
        let found = reconciliations::page(&mut conn, ledger.id, wallet, after, rows).await?;
        for run in paging.take(&found) {
            after = Some(run.id);
            list.push(&ReconciliationView::new(&ledger, run))?;
        }
    }
    list.finish()?;
    if let Some(after) = after.filter(|_| paging.was_cut()) {
        paging.tell(&context.out, &after.to_string());
    }
    Ok(Exit::Done)
}
