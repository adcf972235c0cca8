//! `aegisctl refund list`.

use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::merchant::MerchantId;
use crate::postgres::refunds::{self, Filter};
use crate::refunds::RefundStatus;
use crate::view::RefundView;

/// List refunds and chargebacks, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl refund list --status unknown
  aegisctl -o csv refund list --merchant acme --all > refunds.csv")]
pub(in crate::cli) struct Args {
    /// Only of this payment
    #[arg(long, value_name = "ID")]
    payment: Option<Uuid>,
    /// Only of this merchant's payments
    #[arg(long, value_name = "M")]
    merchant: Option<MerchantId>,
    /// Only those that stand so: requested, sent, succeeded, failed or unknown
    #[arg(long, value_name = "S", value_parser = status)]
    status: Option<RefundStatus>,
    /// Only those older than this one
    #[arg(long, value_name = "ID")]
    after: Option<Uuid>,
    #[command(flatten)]
    page: PageArgs,
}

fn status(name: &str) -> Result<RefundStatus, String> {
    RefundStatus::from_name(name).ok_or_else(|| {
        let names = RefundStatus::ALL.map(RefundStatus::as_str).join(", ");
        format!("it is one of {names}")
    })
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut filter = Filter {
        payment: args.payment,
        merchant: args.merchant.clone(),
        status: args.status,
        before: args.after,
        limit: 0,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        filter.limit = rows;
        let found = refunds::list(&mut conn, ledger.id, &filter).await?;
        for refund in paging.take(&found) {
            list.push(&RefundView::new(&ledger, refund))?;
            filter.before = Some(refund.id);
        }
    }
    list.finish()?;
    if let (true, Some(id)) = (paging.was_cut(), filter.before) {
        paging.tell(&context.out, &id.to_string());
    }
    Ok(Exit::Done)
}
