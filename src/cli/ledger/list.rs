//! `aegisctl ledger list`.

use time::OffsetDateTime;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record};
use crate::postgres::ledgers::{self, Summary};

/// List the ledgers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl -o json ledger list")]
pub(in crate::cli) struct Args {}

#[derive(serde::Serialize)]
struct View {
    name: String,
    wallets: i64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl From<Summary> for View {
    fn from(summary: Summary) -> Self {
        Self {
            name: summary.ledger.name.to_string(),
            wallets: summary.wallets,
            created_at: summary.created_at,
        }
    }
}

impl Record for View {
    const COLUMNS: &'static [Column] = &[
        Column::text("name"),
        Column::number("wallets"),
        Column::text("created_at"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            self.wallets.into(),
            Cell::Time(self.created_at),
        ]
    }
}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledgers: Vec<View> = ledgers::list(&mut conn)
        .await?
        .into_iter()
        .map(View::from)
        .collect();
    context.out.all(&ledgers)?;
    Ok(Exit::Done)
}
