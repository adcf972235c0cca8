//! `aegisctl config check`.

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record, Tone};

/// Check the configuration without connecting to anything
///
/// Ends with exit code 2 and names every key that is unknown, of the wrong type or out of range.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  PRIMARY_ENV=production aegisctl config check")]
pub(in crate::cli) struct Args {}

#[derive(Serialize)]
struct View {
    ok: bool,
    primary_env: String,
    files: Vec<String>,
    warnings: Vec<String>,
}

impl Record for View {
    const COLUMNS: &'static [Column] = &[
        Column::text("ok"),
        Column::text("primary_env"),
        Column::text("files"),
        Column::text("warnings"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Word(self.ok.to_string(), Tone::Good),
            self.primary_env.as_str().into(),
            match self.files.is_empty() {
                true => Cell::Absent("none"),
                false => self.files.join(", ").into(),
            },
            Cell::Number(i128::try_from(self.warnings.len()).unwrap_or_default()),
        ]
    }
}

pub(super) fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    let loaded = &context.loaded;
    context.out.record(&View {
        ok: true,
        primary_env: loaded.config.primary_env.to_string(),
        files: loaded
            .files
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
        warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
    })?;
    Ok(Exit::Done)
}
