//! `aegisctl wallet create`.

use std::str::FromStr;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::ledger::{Address, Currency};
use crate::postgres::wallets;
use crate::view::WalletView;

/// Make a wallet
///
/// A wallet is found by its address and currency. It refuses to fall below its minimum balance; a
/// wallet that stands for the outside world (`psp:paystack`, `bank:main`) needs
/// `--min-balance none`. One that exists already is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl wallet create merchant:acme:available --currency NGN
  aegisctl wallet create psp:paystack --currency NGN --min-balance none")]
pub(in crate::cli) struct Args {
    /// One to eight segments of a-z, 0-9, _ and - joined by colons
    address: Address,
    /// Currency code of ISO 4217, such as NGN
    #[arg(long, value_name = "C")]
    currency: Currency,
    /// What the balance may not fall below, in minor units, or `none` [default: 0]
    #[arg(long, value_name = "N|none", allow_hyphen_values = true)]
    min_balance: Option<MinBalance>,
}

#[derive(Clone, Copy, Debug)]
struct MinBalance(Option<i64>);

impl FromStr for MinBalance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            number => number
                .parse()
                .map(|minor| Self(Some(minor)))
                .map_err(|_| "write whole minor units, such as 0 or -50000, or none".to_owned()),
        }
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let min_balance = args.min_balance.map_or(Some(0), |MinBalance(minor)| minor);
    if min_balance.is_some_and(|minor| minor > 0) {
        return Err(Failure::Usage(
            "a new wallet holds nothing, so --min-balance can't be above 0".to_owned(),
        )
        .into());
    }
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let (wallet, made) = wallets::create(
        &mut conn,
        ledger.id,
        &args.address,
        args.currency,
        min_balance,
    )
    .await?;
    if !made {
        if args.min_balance.is_some() && wallet.min_balance != min_balance {
            let words = |minor: Option<i64>| minor.map_or("none".to_owned(), |m| m.to_string());
            return Err(Failure::Rejected {
                code: "wallet_exists",
                detail: format!(
                    "wallet {} in {} exists with the minimum balance {}, not {}",
                    wallet.address,
                    wallet.currency,
                    words(wallet.min_balance),
                    words(min_balance)
                ),
            }
            .into());
        }
        context.out.note("the wallet exists already");
    }
    context.out.record(&WalletView::new(&ledger, &wallet))?;
    Ok(Exit::Done)
}
