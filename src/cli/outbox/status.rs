//! `aegisctl outbox status`.

use std::time::Duration;

use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record, Tone};
use crate::cli::when;
use crate::postgres::outbox::{self, Depth};

/// How many events wait, for how long, and how fast they go out
///
/// Counts the events of all ledgers: one relay carries them all. The rate is measured over a
/// second, where there is something to carry and a relay to do so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl -o json outbox status")]
pub(in crate::cli) struct Args {}

#[derive(Serialize)]
struct View {
    rows: i64,
    refused: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    oldest_at: Option<OffsetDateTime>,
    oldest_age_seconds: Option<f64>,
    published_per_second: Option<f64>,
    relay_running: bool,
}

impl Record for View {
    const COLUMNS: &'static [Column] = &[
        Column::number("rows"),
        Column::number("refused"),
        Column::text("oldest_at"),
        Column::text("oldest_age"),
        Column::number("published_per_second"),
        Column::text("relay_running"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.rows.into(),
            self.refused.into(),
            self.oldest_at.map_or(Cell::Absent("-"), Cell::Time),
            self.oldest_age_seconds
                .map_or(Cell::Absent("-"), |seconds| when::duration(seconds).into()),
            self.published_per_second
                .map_or(Cell::Absent("-"), |rate| format!("{rate:.0}").into()),
            match self.relay_running {
                true => "true".into(),
                false => Cell::Word("false".to_owned(), Tone::Warn),
            },
        ]
    }
}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let depth = outbox::depth(&mut conn, None).await?;
    let rate = match depth.rows > 0 && depth.relay_running {
        true => Some(published_per_second(&mut conn).await?),
        false => None,
    };
    context.out.record(&view(&depth, rate))?;
    Ok(Exit::Done)
}

fn view(depth: &Depth, published_per_second: Option<f64>) -> View {
    let age = |oldest: OffsetDateTime| (OffsetDateTime::now_utc() - oldest).as_seconds_f64();
    View {
        rows: depth.rows,
        refused: depth.refused,
        oldest_at: depth.oldest_at,
        oldest_age_seconds: depth.oldest_at.map(age),
        published_per_second,
        relay_running: depth.relay_running,
    }
}

/// Of the events that wait now, how many are gone a second later.
async fn published_per_second(conn: &mut PgConnection) -> sqlx::Result<f64> {
    let newest = outbox::newest(conn).await?;
    let before = outbox::waiting_up_to(conn, newest).await?;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = outbox::waiting_up_to(conn, newest).await?;
    Ok(before.saturating_sub(after) as f64 / began.elapsed().as_secs_f64())
}
