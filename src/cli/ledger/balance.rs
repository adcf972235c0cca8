//! `aegisctl ledger balance`.

use anyhow::Context as _;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Table};
use crate::ledger::Currency;
use crate::postgres::ledgers;
use crate::view::BalanceSheetView;

/// Total the wallets per currency and first segment of the address
///
/// All wallets of a ledger sum to zero in every currency. Ends with exit code 4 where they don't.
/// `ledger verify` looks deeper, into every entry.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl --ledger main ledger balance")]
pub(in crate::cli) struct Args {}

const COLUMNS: &[Column] = &[
    Column::text("currency"),
    Column::text("segment"),
    Column::number("wallets"),
    Column::number("balance"),
    Column::number("held"),
];

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let balances = ledgers::balances(&mut conn, ledger.id).await?;
    let view = BalanceSheetView::new(&ledger, &balances).context("a sum is no number")?;
    context.out.document(&view, None, &table(&view))?;
    for off in view.currencies.iter().filter(|one| one.balance != 0) {
        context.out.error(&format!(
            "the wallets in {} sum to {} minor units instead of 0: `aegisctl ledger verify` \
             looks for the place",
            off.currency, off.balance
        ));
    }
    Ok(if view.balanced {
        Exit::Done
    } else {
        Exit::Found
    })
}

fn table(view: &BalanceSheetView) -> Table {
    let mut table = Table::empty(COLUMNS);
    for total in &view.currencies {
        let currency = Currency::from_code(&total.currency);
        let row = |segment: &str, wallets: i64, balance: i128, held: i128| {
            vec![
                total.currency.as_str().into(),
                segment.into(),
                wallets.into(),
                Cell::Money(balance, currency),
                Cell::Money(held, currency),
            ]
        };
        for one in &total.segments {
            table.row(row(&one.segment, one.wallets, one.balance, one.held));
        }
        table.row(row("(all)", total.wallets, total.balance, total.held));
    }
    table
}
