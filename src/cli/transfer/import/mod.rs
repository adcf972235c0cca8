//! `aegisctl transfer import`: a file of transfers, posted in batches.
//!
//! A thread reads and checks the next batch while the present one commits, so memory holds three
//! batches at most, whatever the size of the file. Outcomes are written after their COMMIT: what a
//! crash leaves without an outcome is posted already or not at all, and its key tells which when
//! the import goes on or is run again.

mod columns;
mod csv;
mod earlier;
mod jsonl;
mod outcomes;
mod post;
mod reader;
mod rereading;
mod row;
mod source;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, told};
use crate::cli::output::Format;
use crate::cli::shell;
use crate::engine::REQUEST_COMMANDS_MAX;
use outcomes::{Outcomes, OutcomesFormat};
use post::{Import, Stop};
use source::{InputFormat, Source};
use summary::Summary;

/// Post the transfers of a file
///
/// Reads CSV with a header or JSON lines, of any size, and posts every row for itself. Columns, in
/// any order: key, from, to, currency, and either minor (minor units) or amount (with exactly the
/// currency's decimals); optional reference, correlation_id, effective_at, metadata (a JSON
/// object). A row that can't be read is reported as `invalid` and the others go on; a quote that is
/// never closed costs the line on which it is opened.
///
/// Outcomes have the columns line, key, status (posted, replayed, rejected or invalid),
/// transaction_id, code and detail, in the order of the input; line is where the row begins. They
/// are CSV, or JSON lines with -o json and -o jsonl; the name of the file may say so too (.csv,
/// .jsonl).
///
/// It is always safe to run an import again: a key takes effect once, and rows that took effect
/// before are answered with `replayed`. With --outcomes and --resume a run goes on where an earlier
/// one stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl transfer import payments.csv --outcomes outcomes.csv
  aegisctl transfer import payments.csv --outcomes outcomes.csv --resume
  zcat payments.jsonl.gz | aegisctl transfer import - > outcomes.csv

Exit codes: 0 all rows took effect, now or before; 5 some were rejected or invalid; 2 the file
can't be used at all; 130 interrupted, after the batch at hand.")]
pub(in crate::cli) struct Args {
    /// The file, or - for standard input
    file: PathBuf,
    /// Format of the file [default: by its name, or else by its first character]
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// Write the outcomes here instead of to standard output, which then gets the summary
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Go on behind the last outcome in the file of --outcomes
    #[arg(long, requires = "outcomes")]
    resume: bool,
    /// Transfers posted in one database transaction
    #[arg(long, value_name = "N", default_value_t = 2_000,
          value_parser = clap::value_parser!(u16).range(1..=REQUEST_COMMANDS_MAX as i64))]
    batch: u16,
}

impl Args {
    /// The file for the outcomes; `-` is standard output, as without the option.
    fn outcomes_file(&self) -> Option<&Path> {
        self.outcomes
            .as_deref()
            .filter(|path| path.as_os_str() != "-")
    }
}

pub(in crate::cli) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let source = Source::open(&args.file)?;
    let ledger = context.ledger_unless_interrupted().await?;
    let outcomes = match args.outcomes_file() {
        None if args.resume => {
            let message = "--resume needs a file of outcomes: name one with --outcomes";
            return Err(Failure::Usage(message.to_owned()).into());
        }
        None => Outcomes::to_stdout(outcomes_format(context.out.format())),
        Some(path) => {
            source.check_is_not(path)?;
            let format = OutcomesFormat::of_name(path)
                .unwrap_or_else(|| outcomes_format(context.out.format()));
            Outcomes::to_file(path, format, args.resume)?
        }
    };
    let import = Import {
        context,
        ledger,
        engine: context.engine()?,
        batch_rows: usize::from(args.batch),
        format: args.format,
    };
    let (summary, stop) = import.run(source, outcomes).await?;
    match stop {
        None => {
            tell(context, args, &summary)?;
            Ok(if summary.all_took_effect() {
                Exit::Done
            } else {
                Exit::Partly
            })
        }
        Some(stop) => Err(stopped(context, args, &summary, stop)),
    }
}

fn outcomes_format(format: Format) -> OutcomesFormat {
    match format {
        Format::Table | Format::Csv => OutcomesFormat::Csv,
        Format::Json | Format::Jsonl => OutcomesFormat::Jsonl,
    }
}

/// The summary is the data where the outcomes are in a file; else it stands beside them, on
/// standard error.
fn tell(context: &Context, args: &Args, summary: &Summary) -> anyhow::Result<()> {
    let out = &context.out;
    if args.outcomes_file().is_some() {
        out.record(summary)?;
        return Ok(());
    }
    match out.format() {
        Format::Table | Format::Csv => out.note(&summary.to_string()),
        Format::Json | Format::Jsonl => {
            out.note(&serde_json::to_string(summary).context("the summary can't be written")?);
        }
    }
    Ok(())
}

/// How an import that stopped early ends: where it stopped, and how to go on.
fn stopped(context: &Context, args: &Args, summary: &Summary, stop: Stop) -> anyhow::Error {
    let input = match args.file.as_os_str() == "-" {
        true => ", given the same input again",
        false => "",
    };
    let go_on = match args.outcomes_file() {
        Some(_) => format!(
            "go on with{input}: {}",
            resume_command(&context.command_line)
        ),
        None => format!(
            "run the same command again{input}: what took effect is replayed, not posted twice"
        ),
    };
    match stop {
        Stop::Interrupted => Failure::Interrupted(format!("{summary}; {go_on}")).into(),
        Stop::NobodyReads => Failure::Interrupted(format!(
            "nobody reads the outcomes any more; {summary}; {go_on}"
        ))
        .into(),
        Stop::Unreachable(message) => {
            Failure::Unreachable(format!("{message}; {summary}; {go_on}")).into()
        }
        Stop::Failed(error) => anyhow::anyhow!("{}; {summary}; {go_on}", told(&error)),
    }
}

/// The same command with `--resume`.
fn resume_command(command_line: &[String]) -> String {
    let mut words = command_line.to_vec();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    shell::command(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_with_can_be_pasted_into_a_shell() {
        let words = ["/usr/bin/aegisctl", "transfer", "import", "it's 1.csv"].map(str::to_owned);
        assert_eq!(
            resume_command(&words),
            r"aegisctl transfer import 'it'\''s 1.csv' --resume"
        );
        let resumed = ["aegisctl", "--resume", "x"].map(str::to_owned);
        assert_eq!(resume_command(&resumed), "aegisctl --resume x");
    }
}
