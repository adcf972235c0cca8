//! `aegisctl wallet`.

mod create;
mod list;
mod show;
mod statement;

use sqlx::PgConnection;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record, Tone};
use crate::ledger::{Currency, Ledger, RejectionCode, Wallet, WalletRef};
use crate::postgres::wallets;
use crate::view::WalletView;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl wallet create merchant:acme:available --currency NGN
  aegisctl wallet statement merchant:acme:available --currency NGN")]
pub(super) enum Command {
    /// Make a wallet
    Create(create::Args),
    /// List wallets in order of address
    List(list::Args),
    /// Show a wallet, as it is or as it was
    Show(show::Args),
    /// List what moved a wallet
    Statement(statement::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Statement(args) => statement::run(context, &args).await,
    }
}

impl Record for WalletView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id").detail(),
        Column::text("ledger").detail(),
        Column::text("address"),
        Column::text("currency"),
        Column::number("balance"),
        Column::number("held"),
        Column::number("available"),
        Column::number("min_balance"),
        Column::number("version"),
        Column::text("status"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |minor| Cell::money(minor, &self.currency);
        vec![
            self.id.to_string().into(),
            self.ledger.as_str().into(),
            self.address.as_str().into(),
            self.currency.as_str().into(),
            money(self.balance),
            money(self.held),
            money(self.available),
            self.min_balance.map_or(Cell::Absent("none"), money),
            self.version.into(),
            match self.status {
                "active" => self.status.into(),
                other => Cell::Word(other.to_owned(), Tone::Warn),
            },
        ]
    }
}

/// Which wallet.
#[derive(Debug, clap::Args)]
pub(super) struct WalletArgs {
    /// Address, such as merchant:acme:available, or the wallet's id
    #[arg(value_name = "ADDRESS")]
    wallet: WalletRef,
    /// Currency code; needed where the address has wallets in several
    #[arg(long, value_name = "C")]
    currency: Option<Currency>,
}

impl WalletArgs {
    /// The one wallet that is meant.
    async fn find(&self, conn: &mut PgConnection, ledger: &Ledger) -> anyhow::Result<Wallet> {
        let mut found = wallets::find(conn, ledger.id, &self.wallet, self.currency).await?;
        match (found.pop(), found.is_empty()) {
            (Some(wallet), true) => Ok(wallet),
            (Some(wallet), false) => {
                found.push(wallet);
                let currencies: Vec<&str> = found.iter().map(|w| w.currency.code()).collect();
                Err(Failure::Usage(format!(
                    "{} has wallets in {}: say which with --currency",
                    self.wallet,
                    currencies.join(", ")
                ))
                .into())
            }
            (None, _) => {
                let currency = self
                    .currency
                    .map(|currency| format!(" in {currency}"))
                    .unwrap_or_default();
                Err(Failure::Rejected {
                    code: RejectionCode::WalletNotFound.as_str(),
                    detail: format!(
                        "there is no wallet {}{currency} in ledger {}; `aegisctl wallet list` \
                         shows what there is",
                        self.wallet, ledger.name
                    ),
                }
                .into())
            }
        }
    }
}
