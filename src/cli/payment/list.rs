//! `aegisctl payment list`.

use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::merchant::MerchantId;
use crate::postgres::payments::{self, Filter, PaymentStatus};
use crate::view::PaymentView;

/// List payments in the order in which they were asked for
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payment list --merchant acme --status succeeded
  aegisctl -o csv payment list --all > payments.csv")]
pub(in crate::cli) struct Args {
    /// Only this merchant's
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
    /// Only those that stand so: created, pending, succeeded, failed, abandoned, partly_refunded,
    /// refunded, disputed
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<PaymentStatus>,
    /// Only payments behind this one
    #[arg(long, value_name = "ID")]
    after: Option<Uuid>,
    #[command(flatten)]
    page: PageArgs,
}

fn status(name: &str) -> Result<PaymentStatus, String> {
    PaymentStatus::from_name(name).ok_or_else(|| {
        let names = PaymentStatus::ALL.map(PaymentStatus::as_str).join(", ");
        format!("write one of {names}")
    })
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut filter = Filter {
        merchant: args.merchant.clone(),
        status: args.status,
        after: args.after,
        limit: 0,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        filter.limit = rows;
        let found = payments::list(&mut conn, ledger.id, &filter).await?;
        for payment in paging.take(&found) {
            list.push(&PaymentView::new(&ledger, payment))?;
            filter.after = Some(payment.id);
        }
    }
    list.finish()?;
    if let (true, Some(after)) = (paging.was_cut(), filter.after) {
        paging.tell(&context.out, &after.to_string());
    }
    Ok(Exit::Done)
}
