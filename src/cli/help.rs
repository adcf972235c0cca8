//! `aegisctl help [COMMAND…]` and `aegisctl help exit-codes`.

use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Output, Record};

/// Show help on a command, or on exit-codes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl help transfer import
  aegisctl help exit-codes")]
pub(super) struct Args {
    /// The command, such as `transfer import`, or `exit-codes`
    #[arg(value_name = "COMMAND")]
    topic: Vec<String>,
}

#[derive(serde::Serialize)]
struct ExitCode {
    code: u8,
    meaning: &'static str,
}

impl Record for ExitCode {
    const COLUMNS: &'static [Column] = &[Column::number("code"), Column::text("meaning")];

    fn cells(&self) -> Vec<Cell> {
        vec![i64::from(self.code).into(), self.meaning.into()]
    }
}

pub(super) fn run(args: &Args, out: &Output) -> anyhow::Result<Exit> {
    if args.topic == ["exit-codes"] {
        let codes = Exit::ALL.map(|exit| ExitCode {
            code: exit.code(),
            meaning: exit.meaning(),
        });
        out.all(&codes)?;
        return Ok(Exit::Done);
    }
    let mut command = super::command_line();
    // Spreads the global options over the commands.
    command.build();
    let mut topic = &mut command;
    for name in &args.topic {
        topic = topic.find_subcommand_mut(name).ok_or_else(|| {
            Failure::Usage(format!(
                "there is no command {:?}: `aegisctl help` lists them",
                args.topic.join(" ")
            ))
        })?;
    }
    out.text(topic.render_long_help().to_string().as_bytes())?;
    Ok(Exit::Done)
}
