//! `aegisctl settlement show`.

use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Format, Record, Table};
use crate::postgres::settlements;
use crate::view::{ReserveView, SettlementView};

/// Show a settlement with its reserves
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl settlement show 019abf3e-7d1a-7c22-8f04-0a4b8c1d2e3f")]
pub(in crate::cli) struct Args {
    /// Its id
    id: Uuid,
}

struct Held<'a>(&'a ReserveView, &'a str);

impl serde::Serialize for Held<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Record for Held<'_> {
    const COLUMNS: &'static [Column] = &[
        Column::number("terms_version"),
        Column::number("amount"),
        Column::text("due_at"),
        Column::text("released_at"),
        Column::number("owed_repaid"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let Self(reserve, currency) = self;
        vec![
            i64::from(reserve.terms_version).into(),
            Cell::money(reserve.amount, currency),
            Cell::Time(reserve.due_at),
            reserve.released_at.map_or(Cell::Absent("-"), Cell::Time),
            Cell::money(reserve.owed_repaid, currency),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = settlements::find(&mut conn, ledger.id, args.id).await?;
    let Some(settlement) = found else {
        let detail = format!(
            "there is no settlement {} in ledger {}",
            args.id, ledger.name
        );
        return Err(Failure::Rejected {
            code: "settlement_not_found",
            detail,
        }
        .into());
    };
    let view = SettlementView::new(&ledger, &settlement);
    context.out.record(&view)?;
    if context.out.format() == Format::Table && !view.reserves.is_empty() {
        let held = view.reserves.iter().map(|held| Held(held, &view.currency));
        let held: Vec<Held<'_>> = held.collect();
        context
            .out
            .subject(&context.out.error_table(&Table::of(&held)));
    }
    Ok(Exit::Done)
}
