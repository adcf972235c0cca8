//! Metrics in Prometheus's text format. Any part counts with the macros of the `metrics` crate, under
//! the names of [`METRICS`].

mod list;
#[cfg(target_os = "linux")]
mod process;

use std::sync::OnceLock;

use metrics::{
    Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use time::OffsetDateTime;

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
            let now = OffsetDateTime::now_utc();
            gauge!("process_start_time_seconds").set(now.unix_timestamp() as f64);
            handle
        });
        Self(handle.clone())
    }

    /// All of them, as Prometheus reads them.
    #[must_use]
    pub fn render(&self) -> String {
        #[cfg(target_os = "linux")]
        process::measure();
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
            name if name.ends_with("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, unit, metric.meaning),
            Kind::Gauge => describe_gauge!(metric.name, unit, metric.meaning),
            Kind::Histogram(_) => describe_histogram!(metric.name, unit, metric.meaning),
        }
        if metric.labels.len() == metric.values.len() {
            begin(metric);
        }
    }
}

/// Exports a metric at 0, so that the first that is counted is seen as a rise. Gauges stand nowhere
/// until somebody looked.
fn begin(metric: &Metric) {
    let mut all: Vec<Vec<Label>> = vec![Vec::new()];
    for (label, values) in metric.labels.iter().zip(metric.values) {
        let with = |before: &Vec<Label>, value: &'static str| {
            let mut labels = before.clone();
            labels.push(Label::from_static_parts(label, value));
            labels
        };
        all = all
            .iter()
            .flat_map(|before| values.iter().map(move |value| with(before, value)))
            .collect();
    }
    for labels in all {
        match metric.kind {
            Kind::Counter => counter!(metric.name, labels).absolute(0),
            // To be known is all it takes.
            Kind::Histogram(_) => drop(histogram!(metric.name, labels)),
            Kind::Gauge => {}
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
            // Those of the process are named as everybody names them.
            let ours = name.starts_with("aegis_") || name.starts_with("process_");
            assert!(ours && name.chars().all(well_formed), "{name}");
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
            let labels = metric.labels.len();
            assert!(
                [0, labels].contains(&metric.values.len()),
                "{name}: values of each label"
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
