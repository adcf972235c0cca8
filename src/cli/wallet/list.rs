//! `aegisctl wallet list`.

use std::str::FromStr;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::page::{PageArgs, Paging};
use crate::ledger::{Address, Currency};
use crate::postgres::wallets::{self, Filter};
use crate::view::WalletView;

/// List wallets in order of address
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl wallet list --prefix merchant:acme:
  aegisctl -o csv wallet list --all > wallets.csv")]
pub(in crate::cli) struct Args {
    /// Only addresses that begin so
    #[arg(long, value_name = "P")]
    prefix: Option<String>,
    /// Only this currency
    #[arg(long, value_name = "C")]
    currency: Option<Currency>,
    /// Only wallets behind this one
    #[arg(long, value_name = "ADDRESS/CURRENCY")]
    after: Option<After>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Clone, Debug)]
struct After(String, String);

impl FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "write ADDRESS/CURRENCY, such as merchant:acme:available/NGN".to_owned();
        let (address, currency) = text.split_once('/').ok_or_else(wrong)?;
        let address: Address = address.parse()?;
        let currency: Currency = currency.parse()?;
        Ok(Self(address.to_string(), currency.to_string()))
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut filter = Filter {
        prefix: args.prefix.clone(),
        currency: args.currency,
        after: args
            .after
            .clone()
            .map(|After(address, currency)| (address, currency)),
        limit: 0,
    };
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        filter.limit = rows;
        let found = wallets::list(&mut conn, ledger.id, &filter).await?;
        for wallet in paging.take(&found) {
            list.push(&WalletView::new(&ledger, wallet))?;
            filter.after = Some((wallet.address.to_string(), wallet.currency.to_string()));
        }
    }
    list.finish()?;
    if let (true, Some((address, currency))) = (paging.was_cut(), &filter.after) {
        paging.tell(&context.out, &format!("{address}/{currency}"));
    }
    Ok(Exit::Done)
}
