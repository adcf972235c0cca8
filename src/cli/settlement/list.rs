//! `aegisctl settlement list`.

use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::settlements::{self, Filter};
use crate::view::SettlementView;

/// List settlements, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl settlement list --merchant acme
  aegisctl -o csv settlement list --currency NGN --all > settlements.csv")]
pub(in crate::cli) struct Args {
    /// Only this merchant's
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
    /// Only in this currency
    #[arg(long, value_name = "C")]
    currency: Option<Currency>,
    /// Only those made before this one
    #[arg(long, value_name = "ID")]
    before: Option<Uuid>,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut filter = Filter {
        merchant: args.merchant.clone(),
        currency: args.currency,
        before: args.before,
        limit: 0,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        filter.limit = rows;
        let found = settlements::list(&mut conn, ledger.id, &filter).await?;
        for settlement in paging.take(&found) {
            filter.before = Some(settlement.id);
            list.push(&SettlementView::new(&ledger, settlement))?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        let last = filter.before.map(|id| id.to_string()).unwrap_or_default();
        context.out.note(&format!(
            "there are more: --before {last} for the next, or --all"
        ));
    }
    Ok(Exit::Done)
}
