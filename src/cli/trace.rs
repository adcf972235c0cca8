//! `aegisctl trace`.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Table};
use crate::cli::amount;
use crate::ledger::Currency;
use crate::trace::{self, THINGS_DEFAULT, THINGS_MAX, Trace};
use crate::view::{EntryView, MomentView, TraceView};

/// Follow money: all that is known of a reference, in order of time
///
/// The reference is whatever there is in hand: the id of a transaction, payment, refund, settlement,
/// payout or event, an idempotency key, a reference, a correlation id, a PSP's id, the number of a
/// dead letter. From there the way is followed both ways: from a payment to its webhooks and
/// transactions, the settlement that took it in and the payout that took it out, and back from a
/// payout to what it was made of. Which payout money left with is read first in, first out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl trace order-1001
  aegisctl trace 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f
  aegisctl trace dead_letter:7
  aegisctl -o json trace order-1001 | jq '.moments[] | select(.kind == \"webhook\")'

Exit codes: 0 something is known; 3 nothing is.")]
pub(super) struct Args {
    /// What to look for; `payment:ID`, `webhook:ID` and the like for one thing alone
    #[arg(value_name = "REF")]
    reference: String,
    /// Look at about so many things at most
    #[arg(long, value_name = "N", default_value_t = THINGS_DEFAULT, value_parser = things)]
    things: usize,
}

fn things(text: &str) -> Result<usize, String> {
    let things = text.parse().ok();
    let things = things.filter(|things| (1..=THINGS_MAX).contains(things));
    things.ok_or_else(|| format!("write an integer from 1 to {THINGS_MAX}"))
}

const COLUMNS: &[Column] = &[
    Column::text("at"),
    Column::text("what"),
    Column::number("amount"),
    Column::text("currency"),
    Column::text("state"),
    Column::text("id"),
    Column::text("detail"),
];

fn cells(moment: &MomentView) -> Vec<Cell> {
    let amount = moment.amount.zip(moment.currency.as_deref());
    vec![
        Cell::Time(moment.at),
        moment.what.as_str().into(),
        amount.map_or(Cell::Absent(""), |(minor, currency)| {
            Cell::money(minor, currency)
        }),
        text(moment.currency.clone()),
        text(moment.state.clone()),
        moment.id.as_str().into(),
        text(detail(moment)),
    ]
}

fn text(text: Option<String>) -> Cell {
    text.map_or(Cell::Absent(""), Cell::Text)
}

/// What a transaction moved, else what there is to say, and then the names.
fn detail(moment: &MomentView) -> Option<String> {
    let entries = moment.entries.iter().map(moved);
    let entries: Vec<String> = entries.collect();
    let said = match entries.is_empty() {
        false => Some(entries.join(", ")),
        true => moment.detail.clone(),
    };
    // The program's own keys say no more than the links do.
    let says_more =
        |(_, value): &(&&str, &String)| **value != moment.id && !value.starts_with("aegis:");
    let names = moment.names.iter().filter(says_more);
    let names = names.map(|(name, value)| format!("{name} {value}"));
    let parts: Vec<String> = said.into_iter().chain(names).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn moved(entry: &EntryView) -> String {
    let minor = i128::from(entry.amount);
    let amount = match Currency::from_code(&entry.currency) {
        Some(currency) => amount::format(minor, currency),
        None => minor.to_string(),
    };
    let sign = if entry.amount > 0 { "+" } else { "" };
    format!("{} {sign}{amount}", entry.address)
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let known = trace::trace(&mut conn, &ledger, &args.reference, args.things).await?;
    let Some(Trace {
        found,
        moments,
        things,
        cut,
    }) = known
    else {
        return Err(Failure::Rejected {
            code: "nothing_found",
            detail: format!(
                "nothing in ledger {} is known as {:?}: write an id, a key, a reference or a \
                 correlation id as it was given",
                ledger.name, args.reference
            ),
        }
        .into());
    };
    let view = TraceView::new(&ledger, &args.reference, &found, &moments, (things, cut));
    let mut table = Table::empty(COLUMNS);
    for moment in &view.moments {
        table.row(cells(moment));
    }
    context.out.document(&view, None, &table)?;
    let names: Vec<String> = found.iter().take(8).map(ToString::to_string).collect();
    let more = found.len().saturating_sub(names.len());
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    context.out.note(&format!(
        "{} is {}{more}; told of {things} things",
        args.reference,
        names.join(", ")
    ));
    if cut {
        context.out.warn(&format!(
            "there is more: look from one of its things, or further with --things {THINGS_MAX}"
        ));
    }
    Ok(Exit::Done)
}
