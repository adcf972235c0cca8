//! `aegisctl ledger`.

mod balance;
mod create;
mod list;
mod verify;

use super::context::Context;
use super::exit::Exit;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl ledger create books-2026
  aegisctl ledger verify")]
pub(super) enum Command {
    /// Make a ledger
    Create(create::Args),
    /// List the ledgers
    List(list::Args),
    /// Total the wallets per currency and first segment of the address
    Balance(balance::Args),
    /// Prove a ledger from its entries, while posting goes on
    Verify(verify::Args),
}

impl Command {
    /// See [`super::Command::stops_itself`].
    pub(super) fn stops_itself(&self) -> bool {
        match self {
            Self::Verify(_) => true,
            Self::Create(_) | Self::List(_) | Self::Balance(_) => false,
        }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Balance(args) => balance::run(context, &args).await,
        Command::Verify(args) => verify::run(context, &args).await,
    }
}
