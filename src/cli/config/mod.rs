//! `aegisctl config`. A configuration that can't be started with has ended the command before it
//! comes here, with exit code 2.

mod check;
mod show;

use super::context::Context;
use super::exit::Exit;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl config show
  aegisctl config check")]
pub(super) enum Command {
    /// Show every effective value and where it came from
    Show(show::Args),
    /// Check the configuration without connecting to anything
    Check(check::Args),
}

pub(super) fn run(context: &Context, command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Show(args) => show::run(context, args),
        Command::Check(args) => check::run(context, args),
    }
}
