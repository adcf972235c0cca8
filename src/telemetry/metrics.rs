//! Metrics in Prometheus's text format. Any part counts with the macros of the `metrics` crate; what
//! is described here says what each means. Names end in their unit, counters in `_total`.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The process's metrics. Clones are handles on the same.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Begins to collect. A process has one collection; a second call gives a handle on the first.
    #[must_use]
    pub fn start() -> Self {
        static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = HANDLE.get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Fails where something else of this process collects already; then this one is empty.
            drop(metrics::set_global_recorder(recorder));
            describe();
            handle
        });
        Self(handle.clone())
    }

    /// All of them, as Prometheus reads them.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

fn describe() {
    let gauges: [(&'static str, Unit, &'static str); 8] = [
        (
            "aegis_breaker_state",
            Unit::Count,
            "1 for the state that a dependency's breaker is in: closed, open or half_open",
        ),
        (
            "aegis_outbox_rows",
            Unit::Count,
            "Events that wait for the bus",
        ),
        (
            "aegis_outbox_oldest_age_seconds",
            Unit::Seconds,
            "For how long the oldest of them has waited; 0 where none does",
        ),
        (
            "aegis_retries_rows",
            Unit::Count,
            "Messages that failed and wait for another attempt, and those behind them",
        ),
        (
            "aegis_retries_oldest_age_seconds",
            Unit::Seconds,
            "For how long the oldest of them has waited; 0 where none does",
        ),
        (
            "aegis_dead_letters_waiting",
            Unit::Count,
            "Dead letters that nobody has decided on",
        ),
        (
            "aegis_dead_letters_oldest_age_seconds",
            Unit::Seconds,
            "How long ago the oldest of them failed; 0 where none waits",
        ),
        (
            "aegis_build_info",
            Unit::Count,
            "1, with the version of the program",
        ),
    ];
    for (name, unit, meaning) in gauges {
        describe_gauge!(name, unit, meaning);
    }
    let counters = [
        (
            "aegis_breaker_opened_total",
            "How often a dependency's breaker opened",
        ),
        (
            "aegis_breaker_turned_away_total",
            "Calls that an open breaker turned away",
        ),
        (
            "aegis_dead_letters_indexed_total",
            "Dead letters that arrived, by their messages' topic",
        ),
        (
            "aegis_consumer_messages_total",
            "Messages that the settlement consumer took, by what came of them",
        ),
    ];
    for (name, meaning) in counters {
        describe_counter!(name, meaning);
    }
}
