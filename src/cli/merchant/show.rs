//! `aegisctl merchant show`.

use super::missing;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Table;
use crate::merchant::MerchantId;
use crate::onboarding;
use crate::view::MerchantView;

/// Show a merchant with the terms in force
///
/// Its wallets: aegisctl wallet list --prefix merchant:ID:
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl merchant show acme
  aegisctl -o json merchant show acme | jq '.terms[0].terms'")]
pub(in crate::cli) struct Args {
    /// Its id
    id: MerchantId,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = onboarding::read(&mut conn, &ledger, &args.id).await?;
    let standing = found.ok_or_else(|| missing(&ledger, &args.id))?;
    let view = MerchantView::new(&ledger, &standing.merchant, &standing.terms);
    let head = Table::of(std::slice::from_ref(&view));
    context
        .out
        .document(&view, Some(&head), &Table::of(&view.terms))?;
    Ok(Exit::Done)
}
