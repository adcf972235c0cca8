//! How a bench's figures look.

use serde::Serialize;

use crate::bench::{Machine, Measurement};
use crate::cli::output::{Cell, Column, Output, Record, StdoutError, Table, Tone};

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    measurements: &'a [Measurement],
}

impl Record for Measurement {
    const COLUMNS: &'static [Column] = &[
        Column::text("name"),
        Column::number("rate"),
        Column::text("unit"),
        Column::number("floor"),
        Column::number("ratio"),
        Column::number("goal"),
        Column::number("p50_ms"),
        Column::number("p99_ms"),
        Column::text("compared_with"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or(Cell::Absent("-"), |value| {
                Cell::Text(format!("{value:.digits$}"))
            })
        };
        let ratio = match self.ratio {
            Some(ratio) if self.misses_its_goal() => Cell::Word(format!("{ratio:.2}"), Tone::Warn),
            Some(ratio) if self.goal.is_some() => Cell::Word(format!("{ratio:.2}"), Tone::Good),
            ratio => number(ratio, 2),
        };
        vec![
            self.name.as_str().into(),
            number(Some(self.rate), 0),
            self.unit.into(),
            number(self.floor, 0),
            ratio,
            number(self.goal, 2),
            number(self.p50_ms, 2),
            number(self.p99_ms, 2),
            Cell::optional(self.floor_name.as_deref()),
        ]
    }
}

/// One figure on one line, as it comes.
pub(super) fn line(measurement: &Measurement) -> String {
    let Measurement {
        name, rate, unit, ..
    } = measurement;
    match measurement.ratio {
        Some(ratio) => format!("{name}: {rate:.0} {unit}, {ratio:.2} times its floor"),
        None => format!("{name}: {rate:.0} {unit}"),
    }
}

pub(super) fn show(
    out: &Output,
    machine: &Machine,
    measurements: &[Measurement],
) -> Result<(), StdoutError> {
    let Machine {
        cores,
        system,
        postgresql,
        durability,
        ..
    } = machine;
    out.note(&format!(
        "{cores} cores, {system}, PostgreSQL {postgresql}, {durability}"
    ));
    out.document(
        &Report {
            machine,
            measurements,
        },
        None,
        &Table::of(measurements),
    )
}
