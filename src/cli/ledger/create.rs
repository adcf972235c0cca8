//! `aegisctl ledger create`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record};
use crate::ledger::LedgerName;
use crate::postgres::ledgers;

/// Make a ledger
///
/// A ledger is a book of its own: its wallets balance among themselves. Its name is permanent. One
/// that exists already is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl ledger create eu")]
pub(in crate::cli) struct Args {
    /// 1 to 64 characters of a-z, 0-9, _ and -
    name: LedgerName,
}

#[derive(serde::Serialize)]
struct View {
    name: String,
    created: bool,
}

impl Record for View {
    const COLUMNS: &'static [Column] = &[Column::text("name"), Column::text("created")];

    fn cells(&self) -> Vec<Cell> {
        vec![self.name.as_str().into(), self.created.to_string().into()]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let (ledger, created) = ledgers::create(&mut conn, &args.name).await?;
    if !created {
        context
            .out
            .note(&format!("the ledger {} exists already", ledger.name));
    }
    context.out.record(&View {
        name: ledger.name.to_string(),
        created,
    })?;
    Ok(Exit::Done)
}
