//! `aegisctl payment requery`.

use anyhow::Context as _;
use time::OffsetDateTime;

use super::{PaymentArgs, failed, options, psp};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::payments;
use crate::view::PaymentView;

/// Ask the PSP how a payment stands, and apply the answer
///
/// The answer takes effect as a webhook would: a payment that was paid is credited, however it
/// stood before, and once. Ends with exit code 7 where the PSP gives no answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl payment requery order-1001")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    payment: PaymentArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let psp = psp(context)?;
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let payment = args.payment.find(&mut conn, &ledger).await?;
    drop(conn);
    let (pool, options) = (
        context.database()?.posting_pool(2),
        options(context, &ledger),
    );
    let now = OffsetDateTime::now_utc();
    let asked = payments::requery(&pool, &options, &psp, &ledger, payment.id, now);
    let asked = asked.await.map_err(failed)?;
    let payment = asked.context("the payment is gone")?;
    context.out.record(&PaymentView::new(&ledger, &payment))?;
    Ok(Exit::Done)
}
