//! `aegisctl config show`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record};
use crate::config::{Origin, Setting};

/// Show every effective value and where it came from
///
/// Secrets are masked. Sources, the weaker first: built-in defaults, config/default.yaml,
/// config/<PRIMARY_ENV>.yaml, environment variables, options.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl config show
  DATABASE_PORT=5433 aegisctl -o json config show | jq '.[] | select(.key == \"database.port\")'")]
pub(in crate::cli) struct Args {}

impl Record for Setting {
    const COLUMNS: &'static [Column] = &[
        Column::text("key"),
        Column::text("value"),
        Column::text("origin"),
        Column::text("variable").detail(),
        Column::text("superseded_by").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let origin = match self.superseded_by {
            Some(other) => format!("no effect: {other} stands in for it"),
            None if self.origin == Origin::BuiltIn => "built-in default".to_owned(),
            None => self.origin.to_string(),
        };
        vec![
            self.key.into(),
            self.value
                .as_deref()
                .map_or(Cell::Absent("none"), Cell::from),
            origin.into(),
            self.variable.into(),
            Cell::optional(self.superseded_by),
        ]
    }
}

pub(super) fn run(context: &Context, _: &Args) -> anyhow::Result<Exit> {
    context.out.all(&context.loaded.settings)?;
    Ok(Exit::Done)
}
