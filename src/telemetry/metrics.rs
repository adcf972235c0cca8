//! Metrics in Prometheus's text format. Any part counts with the macros of the `metrics` crate, under
//! the names of [`METRICS`].

mod list;

use std::sync::OnceLock;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use list::{Kind, METRICS, Metric};

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
            let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
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
        self.tidy();
        self.0.render()
    }

    /// Sorts what was observed into its buckets. Where nobody reads the metrics, it has to be done
    /// now and then: observations are kept one by one until then.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

fn with_buckets(mut builder: PrometheusBuilder) -> PrometheusBuilder {
    for metric in METRICS {
        if let Kind::Histogram(bounds) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            builder = match builder.set_buckets_for_metric(matcher, bounds) {
                Ok(builder) => builder,
                // Only an empty list is refused.
                Err(_) => PrometheusBuilder::new(),
            };
        }
    }
    builder
}

fn describe() {
    for metric in METRICS {
        let unit = match metric.name {
            name if name.ends_with("_seconds") => Unit::Seconds,
            _ => Unit::Count,
        };
        match metric.kind {
            Kind::Counter => {
                describe_counter!(metric.name, unit, metric.meaning);
                if metric.labels.is_empty() {
                    // So that the first that is counted is seen as a rise.
                    counter!(metric.name).absolute(0);
                }
            }
            Kind::Gauge => describe_gauge!(metric.name, unit, metric.meaning),
            Kind::Histogram(_) => describe_histogram!(metric.name, unit, metric.meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        let mut seen = HashSet::new();
        for metric in METRICS {
            let name = metric.name;
            assert!(seen.insert(name), "{name} stands there twice");
            let well_formed = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
            assert!(
                name.starts_with("aegis_") && name.chars().all(well_formed),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}: counters end in _total, and nothing else does"
            );
            let says_time = [
                "_ms", "_millis", "_minutes", "_hours", "_us", "_age", "_latency",
            ];
            assert!(
                !says_time.iter().any(|end| name.ends_with(end)),
                "{name}: time is in seconds"
            );
            assert!(
                metric.meaning.ends_with('.'),
                "{name}: its meaning is a sentence"
            );
            if name.ends_with("_seconds") {
                let meaning = metric.meaning.to_lowercase();
                assert!(meaning.contains("seconds"), "{name}: says its unit");
            }
        }
    }

    #[test]
    fn buckets_rise() {
        for metric in METRICS {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(!bounds.is_empty() && bounds.is_sorted(), "{}", metric.name);
                assert!(
                    bounds.len() <= 16,
                    "{}: each bound is a series",
                    metric.name
                );
            }
        }
    }
}
