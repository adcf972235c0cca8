//! `aegisctl dlq watch`.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::summary::no_replay;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Format;
use crate::cli::progress::Progress;
use crate::dlq::runs::{self, Account};
use crate::postgres::dead_letters::replays::RunStatus;
use crate::view::ReplayView;

/// How often a run is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// Watch a replay until it ends
///
/// Wherever it runs: in another terminal, on another machine, inside aegisd. Ctrl-C ends the
/// watching, not the replay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq watch
  aegisctl dlq watch 3

Exit codes: 0 all its letters were replayed, 5 some failed, 130 it was cancelled or interrupted, or
the watching was.")]
pub(in crate::cli) struct Args {
    /// The replay's number [default: the newest that is running]
    #[arg(value_name = "REPLAY")]
    replay: Option<i64>,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.unless_interrupted(context.connect()).await?;
    let ledger = context.ledger_flag(&mut conn).await?;
    let id = match args.replay {
        Some(id) => {
            let now = OffsetDateTime::now_utc();
            let found = runs::find(&mut conn, id, ledger.as_deref(), now).await?;
            found.ok_or_else(|| no_replay(id))?.run.id
        }
        None => match newest_running(&mut conn, ledger.as_deref()).await? {
            Some(id) => id,
            None => {
                context.out.note("no replay is running");
                return Ok(Exit::Done);
            }
        },
    };
    let Some(account) = follow(context, &mut conn, id, &context.interrupt).await? else {
        let message = format!("the replay goes on; `aegisctl dlq cancel {id}` stops it");
        return Err(Failure::Interrupted(message).into());
    };
    end(context, account)
}

async fn newest_running(
    conn: &mut PgConnection,
    ledger: Option<&str>,
) -> sqlx::Result<Option<i64>> {
    let now = OffsetDateTime::now_utc();
    let newest = runs::page(conn, ledger, None, 100, now).await?;
    let mut running = newest.iter().filter(|run| run.status == RunStatus::Running);
    Ok(running.next().map(|run| run.id))
}

/// Shows how far a run comes until it ends; `None` where `stop` came first.
pub(super) async fn follow(
    context: &Context,
    conn: &mut PgConnection,
    id: i64,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Account>> {
    let mut progress: Option<Progress> = None;
    loop {
        let found = runs::find(conn, id, None, OffsetDateTime::now_utc()).await?;
        let account = found.ok_or_else(|| no_replay(id))?;
        let run = &account.run;
        if run.status != RunStatus::Running {
            if let Some(progress) = &progress {
                progress.finish();
            }
            return Ok(Some(account));
        }
        let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
        let handled = unsigned(run.replayed.saturating_add(run.failed));
        let shown = progress.get_or_insert_with(|| {
            let total = Some(unsigned(run.total));
            let mut progress = Progress::start(&context.out, "replaying", "letters", total);
            progress.resume_at(handled, handled);
            progress
        });
        shown.at(handled, handled);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {
                shown.finish();
                return Ok(None);
            }
        }
    }
}

fn end(context: &Context, account: Account) -> anyhow::Result<Exit> {
    let view = ReplayView::from(account);
    for failure in &view.failures {
        context
            .out
            .warn(&format!("letter {}: {}", failure.id, failure.reason));
    }
    let told = format!(
        "replay {} {}: {} of {} letters replayed, {} failed",
        view.id, view.status, view.replayed, view.total, view.failed
    );
    if context.out.format() != Format::Table {
        context.out.record(&view)?;
    }
    match view.status {
        "done" => context.out.note(&told),
        _ => return Err(Failure::Interrupted(format!("{told}; the rest waits")).into()),
    }
    Ok(match view.failed > 0 {
        true => Exit::Partly,
        false => Exit::Done,
    })
}
