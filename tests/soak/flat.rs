//! What must hold of the samples.

use crate::samples::Sample;

/// Connections to PostgreSQL that are of no pool: the committer's, the relay's, a run's lock.
const OUTSIDE_POOLS_MAX: f64 = 8.0;
/// Descriptors that come and go: idle connections to the PSP, Kafka and Redis, and those of webhooks.
const FDS_SLACK: f64 = 16.0;
/// Blocking threads that have not ended yet.
const THREADS_SLACK: f64 = 4.0;

/// How much memory may grow from the second quarter of the load to its last: a part of it, and so
/// many bytes besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    part: f64,
    bytes: f64,
}

const MIB: f64 = 1024.0 * 1024.0;

impl Growth {
    /// Over a minute pools, caches and the allocator's arenas still come into use, in steps as faults
    /// have them used for the first time: only what runs away is found.
    pub(crate) const SHORT: Self = Self {
        part: 0.20,
        bytes: 16.0 * MIB,
    };
    /// Ten minutes lie between the middles of the two quarters, in which some 60,000 requests are
    /// served: 300 bytes that each of them leaves behind are found. Less is lost in what the
    /// allocator keeps after a fault, when hundreds of requests wait at once.
    pub(crate) const LONG: Self = Self {
        part: 0.05,
        bytes: 12.0 * MIB,
    };
}

/// The medians of the second and of the last quarter.
fn quarters(values: &[f64]) -> (f64, f64) {
    let quarter = values.len() / 4;
    (
        median(&values[quarter..2 * quarter]),
        median(&values[values.len() - quarter..]),
    )
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What is wrong with these bytes of memory, if anything is.
fn grown(values: &[f64], growth: Growth) -> Option<String> {
    let (second, last) = quarters(values);
    let limit = second * (1.0 + growth.part) + growth.bytes;
    (last > limit).then(|| {
        format!(
            "memory grew from {:.1} MiB in the second quarter to {:.1} MiB in the last; {:.1} MiB \
             would pass",
            second / MIB,
            last / MIB,
            limit / MIB
        )
    })
}

/// Memory does not grow while the load goes on.
pub(crate) fn assert_memory(samples: &[Sample], growth: Growth) {
    let values: Vec<f64> = samples.iter().map(|sample| sample.rss_bytes).collect();
    let (second, last) = quarters(&values);
    eprintln!("memory: {:.1} MiB, then {:.1}", second / MIB, last / MIB);
    assert_eq!(grown(&values, growth), None);
}

/// There were never more connections than there may be, and it was one process all the time.
pub(crate) fn assert_bounded(samples: &[Sample]) {
    for sample in samples {
        let max = sample.pooled_max + OUTSIDE_POOLS_MAX;
        assert!(sample.pooled <= sample.pooled_max, "{sample:?}");
        let there = sample.connections.unwrap_or_default();
        assert!(there as f64 <= max, "more than {max}: {sample:?}");
        let same = sample.started == samples[0].started;
        assert!(same, "it was started again: {sample:?}");
    }
}

/// What is open at rest beside pooled connections, which may stay: descriptors, threads, and
/// connections that no pool has.
pub(crate) fn kept(now: &Sample, before: &Sample) -> Option<String> {
    let connections = |sample: &Sample| sample.connections.unwrap_or_default() as f64;
    let outside = |sample: &Sample| connections(sample) - sample.pooled;
    let fds = |sample: &Sample| sample.fds - connections(sample);
    let more = |what: fn(&Sample) -> f64, slack| what(now) > what(before) + slack;
    if outside(now) > outside(before).max(0.0) + 2.0 {
        return Some(format!(
            "{} connections outside pools were {}",
            outside(now),
            outside(before)
        ));
    }
    if fds(now) > fds(before) + FDS_SLACK {
        return Some(format!(
            "{} descriptors beside those of connections were {}",
            fds(now),
            fds(before)
        ));
    }
    more(|sample| sample.threads, THREADS_SLACK)
        .then(|| format!("{} threads were {}", now.threads, before.threads))
}

/// What the load opened is closed.
pub(crate) fn assert_given_back(before: &Sample, after: &Sample) {
    assert_eq!(kept(after, before), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of every 5 s for 20 minutes, and what each adds.
    fn minutes(mut bytes: impl FnMut(usize) -> f64) -> Vec<f64> {
        (0..240).map(|n| 80.0 * MIB + bytes(n)).collect()
    }

    #[test]
    fn memory_that_grows_by_a_few_hundred_bytes_a_request_is_found() {
        // 100 requests a second.
        let leak = |bytes: f64| minutes(|n| n as f64 * 500.0 * bytes);
        assert!(grown(&leak(400.0), Growth::LONG).is_some());
        assert_eq!(grown(&leak(10.0), Growth::LONG), None);
    }

    #[test]
    fn memory_that_goes_up_and_down_is_flat() {
        let peaks = minutes(|n| if n % 20 < 5 { 60.0 * MIB } else { 0.0 });
        assert_eq!(grown(&peaks, Growth::LONG), None);
        // Until all is in use it may grow.
        let warm = minutes(|n| (n.min(60) as f64) * MIB);
        assert_eq!(grown(&warm, Growth::LONG), None);
    }

    #[test]
    fn what_stays_open_is_found() {
        let before = Sample {
            fds: 60.0,
            threads: 10.0,
            pooled: 20.0,
            connections: Some(23),
            ..Sample::default()
        };
        // A pool that has grown.
        let more = Sample {
            fds: 70.0,
            pooled: 30.0,
            connections: Some(33),
            ..before.clone()
        };
        assert_eq!(kept(&more, &before), None);
        let sockets = Sample {
            fds: 80.0,
            ..before.clone()
        };
        assert!(kept(&sockets, &before).is_some());
        let threads = Sample {
            threads: 15.0,
            ..before.clone()
        };
        assert!(kept(&threads, &before).is_some());
        let connections = Sample {
            connections: Some(26),
            ..before.clone()
        };
        assert!(kept(&connections, &before).is_some());
    }
}
