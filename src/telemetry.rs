//! Logs, one event a line on standard error, JSON or text; metrics; and traces.

mod budget;
mod lines;
mod metrics;
mod otlp;
mod queue;
mod sampling;
pub mod span;
mod statements;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, reload};
use uuid::Uuid;

use crate::config::{Config, LogFormat};

use self::lines::InContext;

pub use self::lines::{LogContext, caused_by, in_context};
pub use self::metrics::{Kind, METRICS, Metric, Metrics};
pub use self::otlp::{Traces, TracesError};

/// The target of what the log says of its own changes: whoever makes it quieter sees that it was
/// done, as whoever makes it louder does, so no level keeps it back.
pub const LOG_CHANGES: &str = "aegis::telemetry::log_changes";

/// Changes what is logged, while the process runs.
pub struct LogFilter(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl std::fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogFilter")
    }
}

impl LogFilter {
    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// Where the filter can't be read; then the one before stays.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        (self.0)(parsed(filter)?)
    }
}

fn parsed(filter: &str) -> Result<EnvFilter, String> {
    let unread = |error| format!("log filter {filter:?} can't be read: {error}");
    let of_changes = format!("{LOG_CHANGES}=info").parse().map_err(unread)?;
    let filter = EnvFilter::try_new(filter).map_err(unread)?;
    Ok(filter.add_directive(of_changes))
}

/// Sets up logging for the process, and what SQL statements become spans by where traces are on. A
/// second call has no effect.
///
/// # Errors
/// Where the filter can't be read.
pub fn init(config: &Config) -> Result<LogFilter, String> {
    let lines = tracing_subscriber::fmt::layer()
        // It would be told on standard error, which panics where that is what failed.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let lines = match config.log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .map_event_format(InContext::json)
            .boxed(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            lines
                .with_ansi(colours)
                .map_event_format(|format| InContext::text(format.with_ansi(colours)))
                .boxed()
        }
    };
    let (filter, handle) = reload::Layer::new(parsed(&config.log.filter)?);
    let is_traced = config.telemetry.destination().is_some();
    let statements = is_traced.then(|| statements::Statements.with_filter(statements::filter()));
    // A process has one subscriber; a test that starts two daemons keeps the first.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(statements)
        .try_init();
    Ok(LogFilter(Box::new(move |filter| {
        handle.reload(filter).map_err(|error| error.to_string())
    })))
}

/// The beginning of a trace that whoever goes on with it records, as W3C Trace Context writes it
/// (`traceparent`, version 00, sampled).
#[must_use]
pub fn new_traceparent() -> String {
    traceparent(&Uuid::new_v4().simple().to_string(), "01")
}

/// The same of a trace of which nothing is recorded.
#[must_use]
pub fn unrecorded_traceparent() -> String {
    traceparent(&Uuid::new_v4().simple().to_string(), "00")
}

fn traceparent(trace: &str, flags: &str) -> String {
    // UUIDs are never all zeros, which the standard forbids.
    let parent = Uuid::new_v4().as_u64_pair().0;
    format!("00-{trace}-{parent:016x}-{flags}")
}
