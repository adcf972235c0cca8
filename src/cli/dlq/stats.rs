//! `aegisctl dlq stats`.

use time::OffsetDateTime;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Format, Table, Tone};
use crate::cli::when;
use crate::postgres::dead_letters::list;
use crate::view::{DeadLetterGroupView, DeadLetterStatsView};

/// Count letters by topic and error
///
/// An error's code is its text up to the first colon. The groups with the most letters that wait
/// stand first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq stats
  aegisctl -o json dlq stats | jq .waiting")]
pub(in crate::cli) struct Args {}

const COLUMNS: &[Column] = &[
    Column::text("original_topic"),
    Column::text("error_code"),
    Column::number("waiting"),
    Column::number("replayed"),
    Column::number("discarded"),
    Column::text("oldest_waiting"),
    Column::text("newest"),
];

fn cells(group: &DeadLetterGroupView, for_people: bool) -> Vec<Cell> {
    let waiting = match group.waiting {
        0 => Cell::from(0),
        many => Cell::Word(many.to_string(), Tone::Warn),
    };
    let oldest = match (
        for_people,
        group.oldest_waiting_seconds,
        group.oldest_waiting_at,
    ) {
        (true, Some(seconds), _) => when::duration(seconds as f64).into(),
        (false, _, Some(at)) => Cell::Time(at),
        _ => Cell::Absent("-"),
    };
    vec![
        group.original_topic.as_str().into(),
        Cell::Long(group.error_code.clone()),
        waiting,
        group.replayed.into(),
        group.discarded.into(),
        oldest,
        Cell::Time(group.newest_at),
    ]
}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger_flag(&mut conn).await?;
    let groups = list::stats(&mut conn, ledger.as_deref()).await?;
    let view = DeadLetterStatsView::new(groups, OffsetDateTime::now_utc());
    let for_people = context.out.format() == Format::Table;
    let mut table = Table::empty(COLUMNS);
    for group in &view.groups {
        table.row(cells(group, for_people));
    }
    if for_people && view.groups.is_empty() {
        context.out.note("there are no dead letters");
        return Ok(Exit::Done);
    }
    context.out.document(&view, None, &table)?;
    if for_people {
        context.out.note(&format!(
            "{} waiting, {} replayed, {} discarded",
            view.waiting, view.replayed, view.discarded
        ));
    }
    Ok(Exit::Done)
}
