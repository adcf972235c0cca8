//! `aegisctl dlq replays`.

use time::OffsetDateTime;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record, Tone};
use crate::cli::page::{PageArgs, Paging};
use crate::dlq::runs;
use crate::view::ReplayView;

/// List replays, the newest first
///
/// A replay is running, done, cancelled, or interrupted: it stopped before its end, and what it had
/// not replayed waits.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq replays --limit 10
  aegisctl -o json dlq replays | jq '.[] | select(.status == \"running\")'")]
pub(in crate::cli) struct Args {
    /// Only replays before this one
    #[arg(long, value_name = "REPLAY")]
    after: Option<i64>,
    #[command(flatten)]
    page: PageArgs,
}

impl Record for ReplayView {
    const COLUMNS: &'static [Column] = &[
        Column::number("id"),
        Column::text("status"),
        Column::text("topics"),
        Column::number("replayed"),
        Column::number("failed"),
        Column::number("total"),
        Column::text("started_by"),
        Column::text("host").detail(),
        Column::text("started_at"),
        Column::text("updated_at").detail(),
        Column::text("finished_at").detail(),
        Column::text("cancel_requested").detail(),
        Column::number("last_letter_id").detail(),
        Column::text("selection").detail(),
        Column::text("ending").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let status = match self.status {
            "done" if self.failed > 0 => Cell::Word("done".to_owned(), Tone::Warn),
            "done" => Cell::Word("done".to_owned(), Tone::Good),
            "interrupted" => Cell::Word("interrupted".to_owned(), Tone::Bad),
            other => other.into(),
        };
        vec![
            self.id.into(),
            status,
            self.topics.join(" ").into(),
            self.replayed.into(),
            self.failed.into(),
            self.total.into(),
            self.started_by.as_str().into(),
            self.host.as_str().into(),
            Cell::Time(self.started_at),
            Cell::Time(self.updated_at),
            self.finished_at.map_or(Cell::Absent("-"), Cell::Time),
            self.cancel_requested.to_string().into(),
            self.last_letter_id.into(),
            Cell::optional(self.selection.as_ref().map(|selection| selection.get())),
            Cell::optional(self.ending.as_deref()),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger_flag(&mut conn).await?;
    let mut before = args.after;
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let now = OffsetDateTime::now_utc();
        let found = runs::page(&mut conn, ledger.as_deref(), before, rows, now).await?;
        for run in paging.take(&found) {
            before = Some(run.id);
            list.push(&ReplayView::from(run.clone()))?;
        }
    }
    list.finish()?;
    if let (true, Some(last)) = (paging.was_cut(), before) {
        paging.tell(&context.out, &last.to_string());
    }
    Ok(Exit::Done)
}
