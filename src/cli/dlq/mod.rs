//! `aegisctl dlq`.

mod aegisd;
mod cancel;
mod discard;
mod list;
mod plan;
mod publish;
mod replay;
mod replays;
mod show;
mod stats;
mod summary;
mod watch;

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::dlq::DlqError;

/// Dead letters: messages that could not be handled
///
/// A message that failed again and again lies on a topic of its own (`<topic>.dlq`) until somebody
/// decides: replay it once the cause is mended, or discard it with a reason. The letters of all
/// ledgers are shown, unless --ledger names one.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl dlq stats
  aegisctl dlq list --error timeout --since 2h
  aegisctl dlq replay --topic aegis.settlements --dry-run
  aegisctl dlq discard 17 --reason 'paid by hand, ticket 4711'")]
pub(super) enum Command {
    /// List letters, the oldest first
    List(list::Args),
    /// Show a letter: the message, its headers, its lives
    Show(show::Args),
    /// Count letters by topic and error
    Stats(stats::Args),
    /// Publish letters' messages to their topics again
    Replay(replay::Args),
    /// Give letters up, with a reason; their rows stay
    Discard(discard::Args),
    /// List replays, the newest first
    Replays(replays::Args),
    /// Watch a replay until it ends
    Watch(watch::Args),
    /// Ask a replay to stop
    Cancel(cancel::Args),
}

impl Command {
    /// See [`super::Command::stops_itself`].
    pub(super) fn stops_itself(&self) -> bool {
        matches!(self, Self::Replay(_) | Self::Watch(_) | Self::Discard(_))
    }
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Stats(args) => stats::run(context, &args).await,
        Command::Replay(args) => replay::run(context, &args).await,
        Command::Discard(args) => discard::run(context, &args).await,
        Command::Replays(args) => replays::run(context, &args).await,
        Command::Watch(args) => watch::run(context, &args).await,
        Command::Cancel(args) => cancel::run(context, &args).await,
    }
}

/// What a decision's failure means for the exit code.
fn failure(error: DlqError) -> anyhow::Error {
    match error {
        DlqError::Busy { ref by, .. } => {
            let watch = by.as_ref().map_or_else(String::new, |run| {
                let id = run.id;
                format!(
                    "; `aegisctl dlq watch {id}` follows it, `aegisctl dlq cancel {id}` stops it"
                )
            });
            Failure::Busy(format!("{error}{watch}; nothing was done")).into()
        }
        error => error.into(),
    }
}

/// Letters that were asked for by numbers that none has.
fn unknown(ids: &[i64]) -> Failure {
    let numbers: Vec<String> = ids.iter().take(20).map(i64::to_string).collect();
    let more = match ids.len().saturating_sub(numbers.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Failure::Rejected {
        code: "dead_letter_not_found",
        detail: format!(
            "there is no dead letter {}{more}; nothing was done",
            numbers.join(", ")
        ),
    }
}

/// `1 letter`, `2 letters`.
fn letters(count: impl TryInto<i64>) -> String {
    match count.try_into().unwrap_or(i64::MAX) {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}
