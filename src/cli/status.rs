//! `aegisctl status`.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::aegisd;
use super::context::{Context, schema_problem};
use super::exit::{Exit, Failure, told};
use super::output::{Cell, Column, Table, Tone};
use super::progress::grouped;
use super::when;
use crate::bus::{Bus, KafkaBus, KafkaOptions};
use crate::cache;
use crate::config::BusKind;
use crate::postgres::dead_letters::index;
use crate::postgres::{self, migrate, outbox, retries};

/// Every dependency on one screen
///
/// Ends with exit code 7 where the database can't be reached, and with 2 where its schema is of
/// another version. What Aegis works without, if more slowly, is shown as `degraded` and is no
/// failure.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl -o json status | jq '.checks[] | select(.status != \"ok\")'")]
pub(super) struct Args {}

/// How long Redis and Kafka may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct View {
    ok: bool,
    checks: Vec<Check>,
    /// Of the aegisd that answers; none where none does.
    breakers: Vec<Breaker>,
}

/// What aegisd says of one of its breakers.
#[derive(Serialize, Deserialize)]
struct Breaker {
    name: String,
    state: String,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    opened_total: u64,
    turned_away_total: u64,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    status: Health,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    /// Things go on without it.
    Degraded,
    /// Nothing goes on without it.
    Failed,
    /// Not asked for, or not known while something else is away.
    Off,
}

const COLUMNS: &[Column] = &[
    Column::text("name"),
    Column::text("status"),
    Column::text("detail"),
];

impl Check {
    fn new(name: &'static str, status: Health, detail: impl Into<String>) -> Self {
        Self {
            name,
            status,
            detail: detail.into(),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let (word, tone) = match self.status {
            Health::Ok => ("ok", Some(Tone::Good)),
            Health::Degraded => ("degraded", Some(Tone::Warn)),
            Health::Failed => ("failed", Some(Tone::Bad)),
            Health::Off => ("off", None),
        };
        let status = match tone {
            Some(tone) => Cell::Word(word.to_owned(), tone),
            None => word.into(),
        };
        vec![self.name.into(), status, self.detail.as_str().into()]
    }
}

pub(super) async fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let ((mut checks, exit), redis, bus, breakers) = tokio::join!(
        database(context),
        redis(context),
        bus(context),
        breakers(context)
    );
    checks.splice(2..2, [redis, bus]);
    checks.push(standing_of(&breakers));
    let breakers = breakers.unwrap_or_default();
    let ok = checks
        .iter()
        .all(|check| matches!(check.status, Health::Ok | Health::Off));
    let mut table = Table::empty(COLUMNS);
    for check in &checks {
        table.row(check.cells());
    }
    let view = View {
        ok,
        checks,
        breakers,
    };
    context.out.document(&view, None, &table)?;
    Ok(exit)
}

/// The database, its schema, and what only the database knows: the relay and the outbox.
async fn database(context: &Context) -> (Vec<Check>, Exit) {
    let began = Instant::now();
    let mut conn = match context.connect_to_any_schema().await {
        Ok(conn) => conn,
        Err(error) => return without_database(&error),
    };
    let first = match server(context, &mut conn, began).await {
        Ok(check) => check,
        Err(error) => return without_database(&error),
    };
    let standing = match migrate::standing(&mut conn).await {
        Ok(standing) => standing,
        Err(error) => return without_database(&error.into()),
    };
    if let Some(problem) = schema_problem(standing) {
        let checks = vec![
            first,
            Check::new("schema", Health::Failed, problem),
            Check::new("relay", Health::Off, "unknown without its schema"),
            Check::new("outbox", Health::Off, "unknown without its schema"),
            Check::new("retries", Health::Off, "unknown without its schema"),
            Check::new("dead letters", Health::Off, "unknown without its schema"),
        ];
        return (checks, Exit::Usage);
    }
    let version = migrate::program_version();
    let mut checks = vec![
        first,
        Check::new(
            "schema",
            Health::Ok,
            format!("version {version}, up to date"),
        ),
    ];
    match outbox::depth(&mut conn, None).await {
        Ok(depth) => checks.extend(queue(&depth)),
        Err(error) => return without_database(&error.into()),
    }
    match waiting(&mut conn).await {
        Ok(waiting) => checks.extend(waiting),
        Err(error) => return without_database(&error.into()),
    }
    (checks, Exit::Done)
}

async fn server(
    context: &Context,
    conn: &mut PgConnection,
    began: Instant,
) -> anyhow::Result<Check> {
    let version = postgres::server_version(conn).await?;
    let place = context.database()?.place();
    let ms = began.elapsed().as_millis();
    Ok(Check::new(
        "database",
        Health::Ok,
        format!("PostgreSQL {version} at {place}, {ms} ms"),
    ))
}

fn without_database(error: &anyhow::Error) -> (Vec<Check>, Exit) {
    let unknown = |name| Check::new(name, Health::Off, "unknown without the database");
    let checks = vec![
        Check::new("database", Health::Failed, told(error)),
        unknown("schema"),
        unknown("relay"),
        unknown("outbox"),
        unknown("retries"),
        unknown("dead letters"),
    ];
    let exit = match error.downcast_ref::<Failure>() {
        Some(failure) => failure.exit(),
        None => Exit::Unreachable,
    };
    (checks, exit)
}

fn queue(depth: &outbox::Depth) -> [Check; 2] {
    let relay = match depth.relay_running {
        true => Check::new("relay", Health::Ok, "running"),
        false => Check::new(
            "relay",
            Health::Degraded,
            "not running: events wait in the outbox until an aegisd is up",
        ),
    };
    let age = depth
        .oldest_at
        .map(|oldest| time::OffsetDateTime::now_utc() - oldest);
    let outbox = match (depth.rows, depth.refused) {
        (0, _) => Check::new("outbox", Health::Ok, "empty"),
        (rows, refused) => {
            let rows = u64::try_from(rows).unwrap_or_default();
            let age = when::duration(age.unwrap_or_default().as_seconds_f64());
            let refused = match refused {
                0 => String::new(),
                many => format!(", {many} refused by the bus and waiting for another attempt"),
            };
            let health = if refused.is_empty() {
                Health::Ok
            } else {
                Health::Degraded
            };
            Check::new(
                "outbox",
                health,
                format!("{} waiting, the oldest for {age}{refused}", grouped(rows)),
            )
        }
    };
    [relay, outbox]
}

/// Messages that failed, and those that were given up.
async fn waiting(conn: &mut PgConnection) -> sqlx::Result<[Check; 2]> {
    let (messages, since) = retries::depth(conn).await?;
    let (letters, failed_at) = index::depth(conn).await?;
    let check = |name, count, oldest: Option<time::OffsetDateTime>, what, more: &str| {
        let Ok(count @ 1..) = u64::try_from(count) else {
            return Check::new(name, Health::Ok, "none");
        };
        let age = oldest.map(|oldest| time::OffsetDateTime::now_utc() - oldest);
        let age = when::duration(age.unwrap_or_default().as_seconds_f64());
        let count = grouped(count);
        let detail = format!("{count} {what}, the oldest for {age}{more}");
        Check::new(name, Health::Degraded, detail)
    };
    let look = ": look with aegisctl dlq stats";
    Ok([
        check(
            "retries",
            messages,
            since,
            "message(s) wait for another attempt",
            "",
        ),
        check(
            "dead letters",
            letters,
            failed_at,
            "wait for a decision",
            look,
        ),
    ])
}

async fn redis(context: &Context) -> Check {
    let Some(address) = &context.config().redis.address else {
        return Check::new("redis", Health::Off, "not configured: working without it");
    };
    let began = Instant::now();
    match cache::ping(address, PATIENCE).await {
        Ok(()) => {
            let ms = began.elapsed().as_millis();
            Check::new("redis", Health::Ok, format!("{address}, {ms} ms"))
        }
        Err(error) => Check::new(
            "redis",
            Health::Degraded,
            format!("{address} can't be reached ({error}): check REDIS_ADDRESS, or start Redis"),
        ),
    }
}

async fn bus(context: &Context) -> Check {
    let brokers = &context.config().kafka.brokers;
    if context.config().bus == BusKind::Local {
        return Check::new("bus", Health::Ok, "local: events stay within aegisd");
    }
    let bus = match KafkaBus::new(KafkaOptions::new(brokers)) {
        Ok(kafka) => Bus::Kafka(kafka),
        Err(error) => return Check::new("kafka", Health::Degraded, error.to_string()),
    };
    let began = Instant::now();
    match bus.ping(PATIENCE).await {
        Ok(info) => {
            let ms = began.elapsed().as_millis();
            let (count, topics) = (info.brokers.len(), info.topics.len());
            let detail = format!("{brokers}: {count} broker(s), {topics} topics, {ms} ms");
            Check::new("kafka", Health::Ok, detail)
        }
        Err(error) => Check::new(
            "kafka",
            Health::Degraded,
            format!("{brokers}: {error}: check KAFKA_BROKERS, or start Kafka"),
        ),
    }
}

/// The breakers live in aegisd, which is asked for them.
async fn breakers(context: &Context) -> anyhow::Result<Vec<Breaker>> {
    #[derive(Deserialize)]
    struct Ready {
        breakers: Vec<Breaker>,
    }
    let (http, place) = aegisd::neighbour(context, PATIENCE)?;
    let answer = http.get(format!("http://{place}/readyz")).send().await;
    let Ok(answer) = answer else {
        anyhow::bail!("no aegisd answers at {place}");
    };
    match answer.json().await {
        Ok(Ready { breakers }) => Ok(breakers),
        Err(_) => anyhow::bail!("what answers at {place} is no aegisd of this version"),
    }
}

fn standing_of(breakers: &anyhow::Result<Vec<Breaker>>) -> Check {
    let breakers = match breakers {
        Ok(breakers) => breakers,
        Err(error) => return Check::new("breakers", Health::Off, format!("unknown: {error}")),
    };
    let told: Vec<String> = breakers.iter().map(Breaker::told).collect();
    match breakers.iter().all(|breaker| breaker.state == "closed") {
        true if told.is_empty() => Check::new("breakers", Health::Ok, "aegisd has none to watch"),
        true => Check::new("breakers", Health::Ok, told.join(", ")),
        false => Check::new("breakers", Health::Degraded, told.join(", ")),
    }
}

impl Breaker {
    fn told(&self) -> String {
        let state = self.state.replace('_', "-");
        match (self.retry_after_ms, self.failures) {
            (Some(ms), _) => format!("{} {state} for another {} s", self.name, ms.div_ceil(1_000)),
            (None, 0) => format!("{} {state}", self.name),
            (None, failures) => format!("{} {state} after {failures} failure(s)", self.name),
        }
    }
}
