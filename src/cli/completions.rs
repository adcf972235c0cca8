//! `aegisctl completions`.

use super::exit::Exit;
use super::output::Output;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  aegisctl completions bash > /etc/bash_completion.d/aegisctl")]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, out: &Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::command_line(),
        "aegisctl",
        &mut script,
    );
    out.text(&script)?;
    Ok(Exit::Done)
}
