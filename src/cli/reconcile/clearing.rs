//! `aegisctl reconcile clearing`.

use serde::Serialize;
use time::OffsetDateTime;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Format, Record};
use crate::reconcile::clearing;
use crate::view::ClearingView;

/// Tell what stands in the wallets that money only passes through
///
/// What PSPs hold, payouts and refunds on their way: each balance with what it is made of, and since
/// when. Ends with 4 where something is not explained, or a discrepancy about it waits.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl reconcile clearing
  aegisctl -o json reconcile clearing | jq '.[] | select(.explained | not)'")]
pub(in crate::cli) struct Args {}

/// A part of a wallet, for people.
#[derive(Serialize)]
struct Row {
    wallet: String,
    currency: String,
    what: String,
    count: i64,
    amount: i64,
    since: Option<OffsetDateTime>,
}

impl Record for Row {
    const COLUMNS: &'static [Column] = &[
        Column::text("wallet"),
        Column::text("currency"),
        Column::text("what"),
        Column::number("count"),
        Column::number("amount"),
        Column::text("since"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.wallet.as_str().into(),
            self.currency.as_str().into(),
            self.what.as_str().into(),
            self.count.into(),
            Cell::money(self.amount, &self.currency),
            self.since.map_or(Cell::Absent("-"), Cell::Time),
        ]
    }
}

impl Record for ClearingView {
    const COLUMNS: &'static [Column] = &[
        Column::text("wallet"),
        Column::text("currency"),
        Column::number("balance"),
        Column::text("since"),
        Column::number("unexplained"),
        Column::number("discrepancies"),
        Column::text("explained"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.wallet.as_str().into(),
            self.currency.as_str().into(),
            Cell::money(self.balance, &self.currency),
            self.since.map_or(Cell::Absent("-"), Cell::Time),
            Cell::money(self.unexplained, &self.currency),
            self.discrepancies.into(),
            self.explained.to_string().into(),
        ]
    }
}

fn rows(view: &ClearingView) -> Vec<Row> {
    let row = |what: &str, count, amount, since| Row {
        wallet: view.wallet.clone(),
        currency: view.currency.clone(),
        what: what.to_owned(),
        count,
        amount,
        since,
    };
    let parts = view.parts.iter();
    let mut rows: Vec<Row> = parts
        .map(|part| row(&part.what, part.count, part.amount, part.since))
        .collect();
    rows.push(row("balance", 0, view.balance, view.since));
    if view.unexplained != 0 {
        rows.push(row("unexplained", 0, view.unexplained, None));
    }
    rows
}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    clearing::without_limit(&mut conn).await?;
    let standings = clearing::standings(&mut conn, ledger.id).await?;
    let views: Vec<ClearingView> = standings.iter().map(ClearingView::from).collect();
    match context.out.format() {
        Format::Table => {
            let rows: Vec<Row> = views.iter().flat_map(rows).collect();
            context.out.all(&rows)?;
        }
        _ => context.out.all(&views)?,
    }
    let open: Vec<&ClearingView> = views.iter().filter(|view| !view.explained).collect();
    for view in &open {
        context.out.warn(&format!(
            "{} in {} is not explained: {} open discrepancies",
            view.wallet, view.currency, view.discrepancies
        ));
    }
    Ok(match open.is_empty() {
        true => Exit::Done,
        false => Exit::Found,
    })
}
