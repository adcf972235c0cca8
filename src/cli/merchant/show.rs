//! `aegisctl merchant show`.

use super::missing;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Format, Table};
use crate::merchant::MerchantId;
use crate::onboarding;
use crate::view::{MerchantDetailView, MerchantView};

/// Show a merchant with the terms in force and its wallets
///
/// As CSV, its wallets; `merchant policy` has its terms.
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
    let (out, mut conn) = (&context.out, context.connect().await?);
    let ledger = context.ledger(&mut conn).await?;
    let found = onboarding::read(&mut conn, &ledger, &args.id).await?;
    let standing = found.ok_or_else(|| missing(&ledger, &args.id))?;
    let wallets = onboarding::wallets_of(&mut conn, &ledger, &args.id).await?;
    let merchant = MerchantView::new(&ledger, &standing.merchant, &standing.terms);
    let view = MerchantDetailView::new(&ledger, merchant, &wallets);
    let held = Table::of(&view.wallets);
    if out.format() != Format::Table {
        out.document(&view, None, &held)?;
        return Ok(Exit::Done);
    }
    let parts = [
        out.vertical(&Table::of(std::slice::from_ref(&view.merchant))),
        out.horizontal(&Table::of(&view.merchant.terms)),
        out.horizontal(&held),
    ];
    out.text(parts.join("\n").as_bytes())?;
    Ok(Exit::Done)
}
