//! `aegisctl wallet show`.

use time::OffsetDateTime;

use super::WalletArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record};
use crate::cli::when;
use crate::postgres::transactions;
use crate::view::{PastWalletView, WalletView};

/// Show a wallet, as it is or as it was
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl wallet show merchant:acme:available --currency NGN
  aegisctl wallet show merchant:acme:available --currency NGN --at 2026-11-01")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Balance just before this time: RFC 3339, or a date for its first moment in UTC
    #[arg(long, value_name = "T", value_parser = when::parse)]
    at: Option<OffsetDateTime>,
}

impl Record for PastWalletView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id").detail(),
        Column::text("ledger").detail(),
        Column::text("address"),
        Column::text("currency"),
        Column::text("at"),
        Column::number("balance"),
        Column::number("version"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            self.ledger.as_str().into(),
            self.address.as_str().into(),
            self.currency.as_str().into(),
            Cell::Time(self.at),
            Cell::money(self.balance, &self.currency),
            self.version.into(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let wallet = args.wallet.find(&mut conn, &ledger).await?;
    let Some(at) = args.at else {
        context.out.record(&WalletView::new(&ledger, &wallet))?;
        return Ok(Exit::Done);
    };
    let (balance, version) =
        transactions::balance_before(&mut conn, ledger.id, wallet.id, at).await?;
    let past = PastWalletView::new(&ledger, &wallet, at, balance, version);
    context.out.record(&past)?;
    Ok(Exit::Done)
}
