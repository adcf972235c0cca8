//! `aegisctl simulator`.

mod run;

use super::context::Context;
use super::exit::Exit;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Example:
  aegisctl simulator run --port 7070 --webhook-url http://127.0.0.1:8080/v1/webhooks/paystack")]
pub(super) enum Command {
    /// Serve a PSP to test with, until Ctrl-C
    Run(run::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::run(context, args).await,
    }
}
