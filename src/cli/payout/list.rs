//! `aegisctl payout list`.

use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::merchant::MerchantId;
use crate::payouts::PayoutStatus;
use crate::postgres::payouts::{self, Filter};
use crate::view::PayoutView;

/// List payouts, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout list --status unknown
  aegisctl -o csv payout list --merchant acme --all > payouts.csv")]
pub(in crate::cli) struct Args {
    /// Only to this merchant
    #[arg(long, value_name = "M")]
    merchant: Option<MerchantId>,
    /// Only those that stand so: requested, sent, succeeded, failed, unknown or returned
    #[arg(long, value_name = "S", value_parser = status)]
    status: Option<PayoutStatus>,
    /// Only those of this payout run
    #[arg(long, value_name = "KEY")]
    run: Option<String>,
    /// Only those older than this one
    #[arg(long, value_name = "ID")]
    after: Option<Uuid>,
    #[command(flatten)]
    page: PageArgs,
}

fn status(name: &str) -> Result<PayoutStatus, String> {
    PayoutStatus::from_name(name).ok_or_else(|| {
        let names = PayoutStatus::ALL.map(PayoutStatus::as_str).join(", ");
        format!("it is one of {names}")
    })
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut filter = Filter {
        merchant: args.merchant.clone(),
        status: args.status,
        run_key: args.run.clone(),
        before: args.after,
        limit: 0,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        filter.limit = rows;
        let found = payouts::list(&mut conn, ledger.id, &filter).await?;
        for payout in paging.take(&found) {
            list.push(&PayoutView::new(&ledger, payout))?;
            filter.before = Some(payout.id);
        }
    }
    list.finish()?;
    if let (true, Some(id)) = (paging.was_cut(), filter.before) {
        paging.tell(&context.out, &id.to_string());
    }
    Ok(Exit::Done)
}
