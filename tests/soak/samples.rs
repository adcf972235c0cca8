//! What aegisd and PostgreSQL say of aegisd's memory and connections, moment by moment.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::caller::Tally;
use crate::world::World;

/// The rows of the table that is printed.
const ROWS: u32 = 20;

/// One moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Since the sampler was made.
    pub(crate) seconds: f64,
    /// What all clients together were answered up to then.
    pub(crate) sent: u64,
    pub(crate) done: u64,
    pub(crate) rejected: u64,
    pub(crate) unavailable: u64,
    pub(crate) later: u64,
    pub(crate) unanswered: u64,
    pub(crate) rss_bytes: f64,
    pub(crate) fds: f64,
    pub(crate) threads: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) started: f64,
    /// Of all pools: open, and the most there may be.
    pub(crate) pooled: f64,
    pub(crate) pooled_max: f64,
    /// Those that PostgreSQL has of the daemon's; nothing while it is away.
    pub(crate) connections: Option<i64>,
    pub(crate) outbox: Option<i64>,
    pub(crate) fault: &'static str,
}

impl Sample {
    pub(crate) fn told(&self) -> String {
        format!(
            "{:.1} MiB, {} descriptors, {} threads, {} connections of which {} of pools",
            mib(self.rss_bytes),
            self.fds,
            self.threads,
            self.connections.unwrap_or_default(),
            self.pooled
        )
    }
}

pub(crate) struct Sampler {
    http: reqwest::Client,
    metrics: String,
    database: String,
    conn: Option<PgConnection>,
    began: Instant,
    tally: Arc<Tally>,
}

impl Sampler {
    pub(crate) fn new(world: &World) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy();
        Self {
            http: http.build().unwrap(),
            metrics: format!("http://{}/metrics", world.daemon.address),
            database: world.url.clone(),
            conn: None,
            began: Instant::now(),
            tally: Arc::clone(&world.tally),
        }
    }

    /// Looks. The metrics are told whatever is away.
    pub(crate) async fn take(&mut self, fault: &'static str) -> Sample {
        let answer = self.http.get(&self.metrics).send().await;
        let text = answer.expect("/metrics is answered").text().await;
        let text = text.expect("/metrics is answered in full");
        let value = |name: &str| sum(&text, name).unwrap_or_else(|| panic!("no {name}"));
        let (connections, outbox) = self.ask().await.unzip();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.tally;
        Sample {
            seconds: self.began.elapsed().as_secs_f64(),
            sent: count(&tally.sent),
            done: count(&tally.done),
            rejected: count(&tally.rejected),
            unavailable: count(&tally.unavailable),
            later: count(&tally.later),
            unanswered: count(&tally.unanswered),
            rss_bytes: value("process_resident_memory_bytes"),
            fds: value("process_open_fds"),
            threads: value("process_threads"),
            cpu_seconds: value("process_cpu_seconds_total"),
            started: value("process_start_time_seconds"),
            pooled: value("aegis_pool_busy_connections") + value("aegis_pool_idle_connections"),
            pooled_max: value("aegis_pool_limit_connections"),
            connections,
            outbox,
            fault,
        }
    }

    /// Connections and rows of the outbox; nothing while PostgreSQL is away.
    async fn ask(&mut self) -> Option<(i64, i64)> {
        let asked = async {
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => PgConnection::connect(&self.database).await?,
            };
            let found = sqlx::query_as(
                "SELECT (SELECT count(*) FROM pg_stat_activity
                         WHERE application_name LIKE 'aegis%'),
                        (SELECT count(*) FROM transaction_outbox)",
            );
            let found: (i64, i64) = found.fetch_one(&mut conn).await?;
            self.conn = Some(conn);
            Ok::<_, sqlx::Error>(found)
        };
        timeout(Duration::from_secs(2), asked).await.ok()?.ok()
    }
}

/// All series of a metric together.
fn sum(text: &str, name: &str) -> Option<f64> {
    let mut found = None;
    for line in text.lines() {
        let rest = line.strip_prefix(name);
        let rest = rest.filter(|rest| rest.starts_with([' ', '{']));
        if let Some((_, value)) = rest.and_then(|rest| rest.rsplit_once(' ')) {
            *found.get_or_insert(0.0) += value.parse::<f64>().expect("a number");
        }
    }
    found
}

fn mib(bytes: f64) -> f64 {
    bytes / 1024.0 / 1024.0
}

/// A row now and then, for a person.
pub(crate) struct Table {
    every: Duration,
    printed: Option<Instant>,
}

impl Table {
    /// Of a load that takes so long.
    pub(crate) fn new(load: Duration) -> Self {
        eprintln!(
            "{:>6} {:>8} {:>8} {:>8} {:>6} {:>7} {:>5} {:>7} {:>6} {:>6}  fault",
            "minute", "sent", "2xx", "rejected", "5xx", "MiB", "fds", "threads", "conns", "outbox"
        );
        Self {
            every: load / ROWS,
            printed: None,
        }
    }

    pub(crate) fn print(&mut self, sample: &Sample) {
        if self.printed.is_some_and(|at| at.elapsed() < self.every) {
            return;
        }
        self.printed = Some(Instant::now());
        let known = |number: Option<i64>| {
            number.map_or_else(|| "-".to_owned(), |number| number.to_string())
        };
        eprintln!(
            "{:>6.2} {:>8} {:>8} {:>8} {:>6} {:>7.1} {:>5} {:>7} {:>6} {:>6}  {}",
            sample.seconds / 60.0,
            sample.sent,
            sample.done,
            sample.rejected,
            sample.unavailable,
            mib(sample.rss_bytes),
            sample.fds,
            sample.threads,
            known(sample.connections),
            known(sample.outbox),
            sample.fault
        );
    }
}

/// Writes them all to `target/soak.csv`.
pub(crate) fn write(samples: &[Sample]) -> PathBuf {
    let mut text = String::from(
        "seconds,sent,done,rejected,unavailable,later,unanswered,rss_bytes,fds,threads,\
         cpu_seconds,connections,pooled,pooled_max,outbox_rows,fault\n",
    );
    let known = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    for s in samples {
        writeln!(
            text,
            "{:.1},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            s.seconds,
            s.sent,
            s.done,
            s.rejected,
            s.unavailable,
            s.later,
            s.unanswered,
            s.rss_bytes,
            s.fds,
            s.threads,
            s.cpu_seconds,
            known(s.connections),
            s.pooled,
            s.pooled_max,
            known(s.outbox),
            s.fault
        )
        .unwrap();
    }
    // `target/tmp` is Cargo's for integration tests.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target.expect("it lies in target").join("soak.csv");
    std::fs::write(&path, text).unwrap();
    path
}
