//! `aegisctl transfer show`.

use uuid::Uuid;

use super::show_transaction;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::postgres::transactions;
use crate::view::TransactionView;

/// Show a transaction with its entries
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl -o json transfer show 019ac3f2-7c4e-7d3a-9b52-6f1a2b3c4d5e")]
pub(in crate::cli) struct Args {
    /// The transaction's id
    id: Uuid,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = transactions::receipts(&mut conn, ledger.id, &[args.id]).await?;
    let receipt = found.get(&args.id).ok_or_else(|| Failure::Rejected {
        code: "transaction_not_found",
        detail: format!(
            "there is no transaction {} in ledger {}",
            args.id, ledger.name
        ),
    })?;
    show_transaction(
        &context.out,
        &TransactionView::new(&ledger, receipt, "posted"),
    )?;
    Ok(Exit::Done)
}
