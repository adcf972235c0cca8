//! What the operating system says of this process, under the names that Prometheus's own client
//! libraries give it, so that dashboards and alerts for any process fit.
//!
//! Only what is below `/proc/self` is read: its unit sees no more (`ProcSubset=pid`).

use metrics::{counter, gauge};
use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, page_size, ticks_per_second};

/// Asks for it and puts it into the metrics. Where `/proc` can't be read, they stay as they are.
pub(super) fn measure() {
    if let Err(error) = read() {
        tracing::debug!(%error, "the process's own memory and descriptors are not known");
    }
}

fn read() -> ProcResult<()> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = ticks_per_second();
    let worked = stat.utime.saturating_add(stat.stime);
    counter!("process_cpu_seconds_total").absolute(worked / ticks);
    gauge!("process_resident_memory_bytes").set(number(stat.rss.saturating_mul(page_size())));
    gauge!("process_threads").set(stat.num_threads as f64);
    gauge!("process_open_fds").set(process.fd_count()? as f64);
    let most = match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(most) => number(most),
        LimitValue::Unlimited => f64::INFINITY,
    };
    gauge!("process_max_fds").set(most);
    Ok(())
}

fn number(value: u64) -> f64 {
    // Exact up to 2^53.
    value as f64
}
