//! `aegisctl reconcile show`.

use time::OffsetDateTime;

use super::failure;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::postgres::discrepancies::{self, Status};
use crate::reconcile::resolve;
use crate::view::DiscrepancyView;

/// Show a discrepancy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl reconcile show 7")]
pub(in crate::cli) struct Args {
    /// The discrepancy's number
    id: i64,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = discrepancies::find(&mut conn, ledger.id, args.id, false).await?;
    let found = found.ok_or_else(|| failure(resolve::not_found(&ledger, args.id)))?;
    let view = DiscrepancyView::new(&ledger, &found, OffsetDateTime::now_utc());
    context.out.record(&view)?;
    let suggested = resolve::suggested(&found);
    if found.proposal.is_none() && !suggested.is_empty() {
        let legs: Vec<String> = suggested
            .iter()
            .map(|leg| {
                format!(
                    "--transaction {} {} {}",
                    leg.wallet, leg.currency, leg.amount
                )
            })
            .collect();
        let legs = legs.join(" ");
        context.out.note(&format!(
            "what would correct it: `aegisctl reconcile resolve {} --reason … {legs}`",
            args.id
        ));
    }
    if found.status == Status::Proposed {
        context.out.note(&format!(
            "somebody else than its proposer approves with `{}`",
            super::approval_of(&found)
        ));
    }
    Ok(Exit::Done)
}
