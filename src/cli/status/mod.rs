//! `aegisctl status`.

mod check;
mod depths;
mod neighbours;
mod watch;

use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;

use self::check::{COLUMNS, Check, Health};
use self::depths::Depths;
use self::neighbours::{Breaker, Loop, Neighbours};
use super::context::{Context, schema_problem};
use super::exit::{Exit, Failure, told};
use super::output::Table;
use crate::postgres::{self, migrate};

/// Every dependency, breaker, lag and depth on one screen
///
/// What Aegis works without, if more slowly, or what mends itself, is shown as `degraded`; what
/// waits for a person's decision as `attention`; what is wrong as `failed`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl status
  aegisctl status --watch
  aegisctl -o json status | jq '.checks[] | select(.status != \"ok\")'
  aegisctl -o jsonl status --watch --interval 60 >>/var/log/aegis-status.jsonl

Exit codes: 0 nothing that somebody has to see to (degraded is not), 4 something needs attention or is
wrong: dead letters, discrepancies, payouts and refunds of unknown outcome for half an hour, a
verification that found something, a loop of aegisd that is stuck, tables that can't be read; 2 the schema is of another version,
7 the database can't be reached. Watching ends with 130 (Ctrl-C), or after --count with what was seen
last.")]
pub(super) struct Args {
    /// Look again and again: redraws the screen on a terminal, and is a block a look elsewhere
    #[arg(long)]
    watch: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch",
          value_parser = clap::value_parser!(u32).range(1..=3_600))]
    interval: u32,
    /// End after so many looks
    #[arg(long, value_name = "N", requires = "watch",
          value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
}

/// How long the database may take to tell what waits.
const READ_MAX: Duration = Duration::from_secs(5);

impl Args {
    pub(super) fn stops_itself(&self) -> bool {
        self.watch
    }
}

/// One look.
#[derive(Serialize)]
struct View {
    ok: bool,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    checks: Vec<Check>,
    /// Of the aegisd that answers; none where none does.
    breakers: Vec<Breaker>,
    loops: Vec<Loop>,
    /// Absent where the database can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    depths: Option<Depths>,
}

impl View {
    fn table(&self, width: Option<usize>) -> Table {
        let mut table = Table::empty(COLUMNS);
        for row in self.checks.iter().flat_map(|check| check.rows(width)) {
            table.row(row);
        }
        table
    }

    /// `all is well`, or how many are not, the worst first.
    fn summary(&self) -> String {
        let count = |health, word: &str| {
            let many = self
                .checks
                .iter()
                .filter(|check| check.status == health)
                .count();
            (many > 0).then(|| format!("{many} {word}"))
        };
        let amiss = [
            count(Health::Failed, "failed"),
            count(Health::Attention, "to see to"),
            count(Health::Degraded, "degraded"),
        ];
        let amiss: Vec<String> = amiss.into_iter().flatten().collect();
        match amiss.is_empty() {
            true => "all is well".to_owned(),
            false => amiss.join(", "),
        }
    }

    fn worst(&self) -> Health {
        let all = self.checks.iter().map(|check| check.status);
        all.max().unwrap_or(Health::Ok)
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let neighbours = Neighbours::new(context);
    if args.watch {
        return watch::run(context, &neighbours, args).await;
    }
    let (view, exit) = look(context, &neighbours).await;
    let table = view.table(context.out.width());
    context.out.document(&view, None, &table)?;
    Ok(exit)
}

async fn look(context: &Context, neighbours: &Neighbours<'_>) -> (View, Exit) {
    let at = OffsetDateTime::now_utc();
    let (found, redis, bus, (daemon, standing)) = tokio::join!(
        database(context, at),
        neighbours.redis(),
        neighbours.bus(),
        neighbours.daemon()
    );
    let Found {
        mut checks,
        depths,
        exit,
    } = found;
    let [aegisd, breakers] = standing;
    checks.splice(2..2, [redis, bus, aegisd, breakers]);
    let fine = |check: &Check| matches!(check.status, Health::Ok | Health::Off);
    let view = View {
        ok: checks.iter().all(fine),
        at,
        checks,
        breakers: daemon.breakers,
        loops: daemon.loops,
        depths,
    };
    let exit = match exit {
        Exit::Done => view.worst().exit(),
        exit => exit,
    };
    (view, exit)
}

/// What there is to say of the database: of itself, of its schema, and of what it holds.
struct Found {
    checks: Vec<Check>,
    depths: Option<Depths>,
    exit: Exit,
}

async fn database(context: &Context, at: OffsetDateTime) -> Found {
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
        let mut checks = vec![first, Check::new("schema", Health::Failed, problem)];
        checks.extend(unknown("unknown without its schema"));
        return Found {
            checks,
            depths: None,
            exit: Exit::Usage,
        };
    }
    let version = migrate::program_version();
    let schema = Check::ok("schema", format!("version {version}, up to date"));
    let read = tokio::time::timeout(READ_MAX, depths::read(&mut conn, at)).await;
    let (first, depths, rest) = match read {
        Ok(Ok((depths, rest))) => (first, Some(depths), rest),
        Ok(Err(error)) => return without_database(&error.into()),
        Err(_) => {
            let (said, seconds) = (first.detail, READ_MAX.as_secs());
            let detail = format!(
                "{said}; its tables can't be read within {seconds} s: pg_locks tells who holds them"
            );
            let first = Check::new("database", Health::Failed, detail);
            let rest = unknown("unknown while the tables can't be read");
            (first, None, rest.collect())
        }
    };
    let mut checks = vec![first, schema];
    checks.extend(rest);
    Found {
        checks,
        depths,
        exit: Exit::Done,
    }
}

async fn server(
    context: &Context,
    conn: &mut PgConnection,
    began: Instant,
) -> anyhow::Result<Check> {
    let version = postgres::server_version(conn).await?;
    let place = context.database()?.place();
    let ms = began.elapsed().as_millis();
    Ok(Check::ok(
        "database",
        format!("PostgreSQL {version} at {place}, {ms} ms"),
    ))
}

fn without_database(error: &anyhow::Error) -> Found {
    let unknown_schema = Check::new("schema", Health::Off, "unknown without the database");
    let mut checks = vec![
        Check::new("database", Health::Failed, told(error)),
        unknown_schema,
    ];
    checks.extend(unknown("unknown without the database"));
    let exit = match error.downcast_ref::<Failure>() {
        Some(failure) => failure.exit(),
        None => Exit::Unreachable,
    };
    Found {
        checks,
        depths: None,
        exit,
    }
}

fn unknown(why: &'static str) -> impl Iterator<Item = Check> {
    let names = depths::NAMES.into_iter();
    names.map(move |name| Check::new(name, Health::Off, why))
}
