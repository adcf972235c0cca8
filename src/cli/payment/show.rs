//! `aegisctl payment show`.

use super::PaymentArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::view::PaymentView;

/// Show a payment
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl -o json payment show order-1001")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    payment: PaymentArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let payment = args.payment.find(&mut conn, &ledger).await?;
    context.out.record(&PaymentView::new(&ledger, &payment))?;
    Ok(Exit::Done)
}
