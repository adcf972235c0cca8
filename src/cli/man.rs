//! `aegisctl man`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::exit::Exit;
use super::output::Output;

/// Print the manual page, or write one page a command into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl man | man -l -
  aegisctl man --dir /usr/local/share/man/man1")]
pub(super) struct Args {
    /// Write a page for every command here
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args, out: &Output) -> anyhow::Result<Exit> {
    let command = super::command_line();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(command, dir))
            .with_context(|| format!("the pages can't be written to {}", dir.display()))?;
        out.note(&format!("the pages are in {}", dir.display()));
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    out.text(&page)?;
    Ok(Exit::Done)
}
