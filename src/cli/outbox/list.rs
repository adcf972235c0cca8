//! `aegisctl outbox list`.

use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record};
use crate::cli::page::{PageArgs, Paging};
use crate::postgres::outbox::{self, Pending};

/// List the events that wait, the oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl outbox list --limit 20
  aegisctl -o jsonl outbox list --all | jq .payload")]
pub(in crate::cli) struct Args {
    /// Only events behind this one
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Serialize)]
struct View {
    id: i64,
    event_id: Uuid,
    event_type: String,
    topic: String,
    key: String,
    subject: String,
    correlation_id: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    attempts: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    next_attempt_at: Option<OffsetDateTime>,
    last_error: Option<String>,
    payload: Box<RawValue>,
}

impl View {
    fn new(event: Pending) -> anyhow::Result<Self> {
        Ok(Self {
            id: event.id,
            event_id: event.event_id,
            event_type: event.event_type,
            topic: event.topic,
            key: event.key,
            subject: event.subject,
            correlation_id: event.correlation_id,
            created_at: event.created_at,
            attempts: event.attempts,
            next_attempt_at: event.next_attempt_at,
            last_error: event.last_error,
            payload: RawValue::from_string(event.payload)?,
        })
    }
}

impl Record for View {
    const COLUMNS: &'static [Column] = &[
        Column::number("id"),
        Column::text("event_id").detail(),
        Column::text("event_type"),
        Column::text("topic").detail(),
        Column::text("key").detail(),
        Column::text("subject"),
        Column::text("correlation_id").detail(),
        Column::text("created_at"),
        Column::number("attempts"),
        Column::text("next_attempt_at"),
        Column::text("last_error"),
        Column::text("payload").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.id.into(),
            self.event_id.to_string().into(),
            self.event_type.as_str().into(),
            self.topic.as_str().into(),
            self.key.as_str().into(),
            self.subject.as_str().into(),
            Cell::optional(self.correlation_id.as_deref()),
            Cell::Time(self.created_at),
            i64::from(self.attempts).into(),
            self.next_attempt_at.map_or(Cell::Absent("-"), Cell::Time),
            Cell::optional(self.last_error.as_deref()),
            self.payload.get().into(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let mut after = args.after;
    let mut list = context.out.list();
    let mut paging = Paging::new(&args.page);
    while let Some(rows) = paging.next_rows() {
        let found = outbox::list(&mut conn, ledger.id, after, rows).await?;
        for event in paging.take(&found) {
            after = event.id;
            list.push(&View::new(event.clone())?)?;
        }
    }
    list.finish()?;
    if paging.was_cut() {
        paging.tell(&context.out, &after.to_string());
    }
    Ok(Exit::Done)
}
