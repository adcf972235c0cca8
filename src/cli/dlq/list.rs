//! `aegisctl dlq list`.

use clap::builder::NonEmptyStringValueParser;
use time::OffsetDateTime;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Record, Tone};
use crate::cli::page::{PageArgs, Paging};
use crate::cli::when;
use crate::dlq::selection::original_topic;
use crate::postgres::dead_letters::list::{self, Filter, Status};
use crate::view::DeadLetterView;

/// List letters, the oldest first
///
/// Those that wait, unless --status says otherwise. --error looks for a text within the error,
/// whatever the case of its letters; nothing in it has a meaning of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq list
  aegisctl dlq list --topic aegis.settlements --error timeout --since 2h
  aegisctl -o jsonl dlq list --status all --all | jq -c '[.id, .error]'")]
pub(in crate::cli) struct Args {
    /// Only letters of which this became
    #[arg(long, value_enum, default_value_t, value_name = "STATUS")]
    status: Wanted,
    /// Only letters whose message was on this topic (or on this .dlq topic now)
    #[arg(long, value_name = "TOPIC", value_parser = NonEmptyStringValueParser::new())]
    topic: Option<String>,
    /// Only letters whose error holds this text
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    error: Option<String>,
    /// Only letters that failed at this time or later: a time, a date, or how long ago (45m, 2h, 3d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only letters of this correlation id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    correlation_id: Option<String>,
    /// Only letters behind this one
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Wanted {
    #[default]
    Waiting,
    Replayed,
    Discarded,
    All,
}

impl Record for DeadLetterView {
    const COLUMNS: &'static [Column] = &[
        Column::number("id"),
        Column::text("original_topic"),
        Column::text("error"),
        Column::text("failed_at"),
        Column::text("status"),
        Column::number("replay_count"),
        Column::text("correlation_id"),
        Column::number("retry_count").detail(),
        Column::text("topic").detail(),
        Column::number("partition").detail(),
        Column::number("offset").detail(),
        Column::text("event_id").detail(),
        Column::text("ledger").detail(),
        Column::number("previous_id").detail(),
        Column::number("first_id").detail(),
        Column::text("indexed_at").detail(),
        Column::text("decided_at").detail(),
        Column::text("decided_by").detail(),
        Column::text("reason").detail(),
        Column::text("original_message").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let number = |number: Option<i64>| number.map_or(Cell::Absent("-"), Cell::from);
        let event_id = self.event_id.map(|id| id.to_string());
        vec![
            self.id.into(),
            self.original_topic.as_str().into(),
            Cell::Long(self.error.clone()),
            Cell::Time(self.failed_at),
            status_cell(self.status),
            i64::from(self.replay_count).into(),
            Cell::optional(self.correlation_id.as_deref()),
            i64::from(self.retry_count).into(),
            self.topic.as_str().into(),
            i64::from(self.partition).into(),
            self.offset.into(),
            Cell::optional(event_id.as_deref()),
            Cell::optional(self.ledger.as_deref()),
            number(self.previous_id),
            number(self.first_id),
            Cell::Time(self.indexed_at),
            self.decided_at.map_or(Cell::Absent("-"), Cell::Time),
            Cell::optional(self.decided_by.as_deref()),
            Cell::optional(self.reason.as_deref()),
            Cell::optional(self.original_message.as_ref().map(|message| message.get())),
        ]
    }
}

/// A status as a word that a terminal may colour.
pub(super) fn status_cell(status: &str) -> Cell {
    match Status::from_name(status) {
        Some(Status::Waiting) => Cell::Word(status.to_owned(), Tone::Warn),
        Some(Status::Replayed) => Cell::Word(status.to_owned(), Tone::Good),
        _ => status.into(),
    }
}

/// The time that `--since` names.
pub(super) fn since(text: Option<&str>) -> Result<Option<OffsetDateTime>, Failure> {
    let now = OffsetDateTime::now_utc();
    text.map(|text| when::parse_since(text, now))
        .transpose()
        .map_err(|error| Failure::Usage(format!("--since {error}")))
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let since = since(args.since.as_deref())?;
    let mut conn = context.connect().await?;
    let filter = Filter {
        status: match args.status {
            Wanted::Waiting => Some(Status::Waiting),
            Wanted::Replayed => Some(Status::Replayed),
            Wanted::Discarded => Some(Status::Discarded),
            Wanted::All => None,
        },
        original_topic: args.topic.as_deref().map(original_topic),
        error: args.error.clone(),
        since,
        correlation_id: args.correlation_id.clone(),
        ledger: context.ledger_flag(&mut conn).await?,
        last_id: None,
    };
    let mut after = args.after;
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let found = list::page(&mut conn, &filter, after, rows).await?;
        for letter in paging.take(&found) {
            after = letter.id;
            list.push(&DeadLetterView::from(letter.clone()))?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        paging.tell(&context.out, &after.to_string());
    }
    Ok(Exit::Done)
}
