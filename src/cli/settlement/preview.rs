//! `aegisctl settlement preview`.

use super::{ScopeArgs, look};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::view::SettlementWorkView;

/// What a run would settle; nothing is done
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl settlement preview
  aegisctl -o json settlement preview --merchant acme")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let scope = args.scope.scope()?;
    let looking = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger(&mut conn).await?;
        look(&mut conn, &ledger, &scope).await
    };
    let work = context.unless_interrupted(looking).await?;
    let view = SettlementWorkView::from(&work);
    let mut list = context.out.list();
    for period in &view.periods {
        list.push(period)?;
    }
    list.finish()?;
    if !view.reserves.is_empty() {
        let reserves = view.reserves.len();
        context
            .out
            .note(&format!("reserves whose time has come: {reserves}"));
    }
    Ok(Exit::Done)
}
