//! `aegisctl transfer`.

mod import;
mod post;
mod show;

use super::context::Context;
use super::exit::Exit;
use super::output::{Cell, Column, Output, StdoutError, Table};
use crate::view::TransactionView;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl transfer post --from psp:paystack --to merchant:acme:available \\
      --currency NGN --amount 1250.00
  aegisctl transfer import payments.csv --outcomes outcomes.csv")]
pub(super) enum Command {
    /// Post one transfer
    Post(post::Args),
    /// Post the transfers of a file, CSV or JSON lines
    Import(import::Args),
    /// Show a transaction with its entries
    Show(show::Args),
}

impl Command {
    /// See [`super::Command::stops_itself`].
    pub(super) fn stops_itself(&self) -> bool {
        match self {
            Self::Post(_) | Self::Import(_) => true,
            Self::Show(_) => false,
        }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Post(args) => post::run(context, args).await,
        Command::Import(args) => import::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
    }
}

const HEAD: &[Column] = &[
    Column::text("transaction_id"),
    Column::text("status"),
    Column::text("ledger"),
    Column::text("kind"),
    Column::text("key"),
    Column::text("reference"),
    Column::text("correlation_id"),
    Column::text("effective_at"),
    Column::text("recorded_at"),
    Column::text("metadata"),
];

const ENTRIES: &[Column] = &[
    Column::text("transaction_id").detail(),
    Column::text("status").detail(),
    Column::text("wallet_id").detail(),
    Column::text("address"),
    Column::text("currency"),
    Column::number("amount"),
    Column::number("balance_after"),
    Column::number("version"),
];

/// Shows a transaction with its entries.
fn show_transaction(out: &Output, view: &TransactionView) -> Result<(), StdoutError> {
    let mut head = Table::empty(HEAD);
    head.row(vec![
        view.transaction_id.to_string().into(),
        view.status.into(),
        view.ledger.as_str().into(),
        view.kind.into(),
        view.idempotency_key.as_str().into(),
        Cell::optional(view.reference.as_deref()),
        Cell::optional(view.correlation_id.as_deref()),
        Cell::Time(view.effective_at),
        Cell::Time(view.recorded_at),
        Cell::optional(view.metadata.as_ref().map(ToString::to_string).as_deref()),
    ]);
    let mut entries = Table::empty(ENTRIES);
    for entry in &view.entries {
        entries.row(vec![
            view.transaction_id.to_string().into(),
            view.status.into(),
            entry.wallet_id.to_string().into(),
            entry.address.as_str().into(),
            entry.currency.as_str().into(),
            Cell::money(entry.amount, &entry.currency),
            Cell::money(entry.balance_after, &entry.currency),
            entry.version.into(),
        ]);
    }
    out.document(view, Some(&head), &entries)
}
