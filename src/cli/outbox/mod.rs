//! `aegisctl outbox`.

mod list;
mod status;

use super::context::Context;
use super::exit::Exit;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl outbox status
  aegisctl outbox list")]
pub(super) enum Command {
    /// How many events wait, for how long, and how fast they go out
    Status(status::Args),
    /// List the events that wait, the oldest first
    List(list::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Status(args) => status::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
    }
}
