//! Logs, one event a line on standard error, JSON or text; metrics; and new traces.

mod metrics;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::config::{LogConfig, LogFormat};

pub use self::metrics::Metrics;

/// Sets up logging for the process. A second call has no effect.
///
/// # Errors
/// Where the filter can't be read.
pub fn init(log: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| format!("log filter {:?} can't be read: {error}", log.filter))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would be told on standard error, which panics where that is what failed.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A process has one subscriber; a test that starts two daemons keeps the first.
    let _ = match log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    Ok(())
}

/// The beginning of a trace, as W3C Trace Context writes it (`traceparent`, version 00, sampled).
#[must_use]
pub fn new_traceparent() -> String {
    let (trace, parent) = (Uuid::new_v4(), Uuid::new_v4());
    // Two UUIDs are never all zeros, which the standard forbids.
    format!("00-{}-{:016x}-01", trace.simple(), parent.as_u64_pair().0)
}
