//! What changes while the daemon runs: what is logged, at SIGHUP.

use crate::config::{ConfigError, Loaded, Origin};
use crate::telemetry::{LOG_CHANGES, LogFilter};

const FILTER: &str = "log.filter";

/// Logs by what a configuration says that was read again; one that doesn't hold changes nothing. It
/// is told once it is so.
pub(super) fn apply(read: Result<Loaded, ConfigError>, log: &LogFilter) {
    let applied = read.map_err(|error| error.to_string()).and_then(|loaded| {
        log.set(&loaded.config.log.filter)?;
        Ok(loaded)
    });
    match applied {
        Ok(loaded) => tell(&loaded),
        Err(reason) => tracing::warn!(
            target: LOG_CHANGES, reason, "the configuration stays as it was"
        ),
    }
}

fn tell(loaded: &Loaded) {
    let filter = &loaded.config.log.filter;
    let setting = loaded.settings.iter().find(|one| one.key == FILTER);
    match setting.map(|setting| &setting.origin) {
        // Files are read again; what stands before them can't have changed.
        Some(by @ (Origin::Environment { .. } | Origin::Flag { .. })) => tracing::info!(
            target: LOG_CHANGES, filter, %by,
            "the configuration was read again; what is logged is set elsewhere"
        ),
        _ => tracing::info!(
            target: LOG_CHANGES, filter, "the configuration was read again"
        ),
    }
}
