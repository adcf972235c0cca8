//! `aegisctl dlq cancel`.

use time::OffsetDateTime;

use super::summary::no_replay;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Format;
use crate::cli::who;
use crate::dlq::discard::Reason;
use crate::dlq::runs;
use crate::view::ReplayView;

/// Ask a replay to stop
///
/// It stops behind the letters at hand, within about a second, wherever it runs. What it has
/// replayed stays so; the rest waits.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq cancel 3
  aegisctl dlq cancel 3 --reason 'the cause is not mended yet'")]
pub(in crate::cli) struct Args {
    /// The replay's number
    #[arg(value_name = "REPLAY")]
    replay: i64,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger_flag(&mut conn).await?;
    let now = OffsetDateTime::now_utc();
    let before = runs::find(&mut conn, args.replay, ledger.as_deref(), now).await?;
    before.ok_or_else(|| no_replay(args.replay))?;
    let reason = args.reason.as_ref().map(Reason::as_str);
    let asked = runs::cancel(&mut conn, args.replay, reason, &who::operator(), now).await?;
    let account = runs::find(&mut conn, args.replay, None, now).await?;
    let account = account.ok_or_else(|| no_replay(args.replay))?;
    let view = ReplayView::from(account);
    let id = view.id;
    match (asked, view.status) {
        (true, _) => context.out.note(&format!(
            "replay {id} was asked to stop; `aegisctl dlq watch {id}` waits until it has"
        )),
        (false, "running") => context
            .out
            .note(&format!("replay {id} had been asked before")),
        (false, status) => context
            .out
            .note(&format!("replay {id} has ended already: {status}")),
    }
    if context.out.format() != Format::Table {
        context.out.record(&view)?;
    }
    Ok(Exit::Done)
}
