//! Every SQL statement as a span: sqlx tells of each once it is over, with its text, which holds
//! placeholders and no values, and with the time that it took.

use std::fmt;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Filter};

use super::span::{self, Kind};

const TARGET: &str = "sqlx::query";

/// Makes spans of what sqlx tells.
#[derive(Debug)]
pub(super) struct Statements;

/// Lets through what sqlx tells of statements that belong to a recorded trace; of the others sqlx
/// makes no text.
pub(super) fn filter<S: Subscriber>() -> impl Filter<S> + Send + Sync + 'static {
    dynamic_filter_fn(|metadata: &Metadata<'_>, _: &Context<'_, S>| {
        is_of_sqlx(metadata) && span::is_current()
    })
    .with_callsite_filter(|metadata| match is_of_sqlx(metadata) {
        true => Interest::sometimes(),
        false => Interest::never(),
    })
    .with_max_level_hint(LevelFilter::DEBUG)
}

fn is_of_sqlx(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        // A short statement stands in the summary alone.
        let text = match told.statement.trim().is_empty() {
            true => told.summary,
            false => told.statement,
        };
        finished(&text, told.elapsed, told.rows_affected, told.rows_returned);
    }
}

/// A statement that is over now, as a span.
fn finished(text: &str, elapsed: Duration, rows_affected: u64, rows_returned: u64) {
    let end = SystemTime::now();
    let start = end.checked_sub(elapsed).unwrap_or(end);
    let text = in_one_line(text);
    let operation = text.split(' ').next().unwrap_or_default().to_uppercase();
    let attributes = vec![
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("db.operation.name", operation.clone()),
        KeyValue::new("db.response.returned_rows", count(rows_returned)),
        KeyValue::new("aegis.db.affected_rows", count(rows_affected)),
        KeyValue::new("db.query.text", text),
    ];
    span::finished_here(Kind::Client, operation, (start, end), attributes);
}

/// Indentation says nothing.
pub(super) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Told {
    summary: String,
    statement: String,
    elapsed: Duration,
    rows_affected: u64,
    rows_returned: u64,
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.statement),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_affected" => self.rows_affected = value,
            "rows_returned" => self.rows_returned = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
