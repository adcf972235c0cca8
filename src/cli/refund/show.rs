//! `aegisctl refund show`.

use uuid::Uuid;

use super::not_found;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::postgres::refunds;
use crate::view::RefundView;

/// Show a refund or a chargeback
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl -v refund show 0195f3c2-8a01-7d20-8c3b-1f2e3d4c5b6a
  aegisctl -o json refund show 0195f3c2-8a01-7d20-8c3b-1f2e3d4c5b6a | jq .status")]
pub(in crate::cli) struct Args {
    /// The refund's id
    id: Uuid,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = refunds::find(&mut conn, ledger.id, args.id).await?;
    let refund = found.ok_or_else(|| not_found(args.id))?;
    context.out.record(&RefundView::new(&ledger, &refund))?;
    Ok(Exit::Done)
}
