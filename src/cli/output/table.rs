//! Tables of typed cells: the same cells make the table for people and the CSV for programs.

use std::io::{self, Write};

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, TableStyle};
use serde::Serialize;
use time::OffsetDateTime;

use crate::cli::{amount, when};
use crate::ledger::Currency;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its name in CSV, and with spaces for underscores its heading.
    pub name: &'static str,
    /// Whether it stands at the right, as numbers do.
    pub right: bool,
    /// Whether a list for people shows it only with `-v`.
    pub detail: bool,
}

impl Column {
    /// A column of text.
    #[must_use]
    pub(crate) const fn text(name: &'static str) -> Self {
        Self {
            name,
            right: false,
            detail: false,
        }
    }

    /// A column of numbers or money.
    #[must_use]
    pub(crate) const fn number(name: &'static str) -> Self {
        Self {
            name,
            right: true,
            detail: false,
        }
    }

    /// The same column, in a list for people only with `-v`.
    #[must_use]
    pub(crate) const fn detail(self) -> Self {
        Self {
            detail: true,
            ..self
        }
    }

    fn heading(self) -> String {
        self.name.replace('_', " ").to_uppercase()
    }
}

/// How a word is meant, which a terminal may show by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
}

/// What stands in a column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Text.
    Text(String),
    /// Text of which a list for people shows the beginning.
    Long(String),
    /// A number.
    Number(i128),
    /// Minor units: for people with the currency's decimals, in CSV as they are.
    Money(i128, Option<Currency>),
    /// A time, UTC.
    Time(OffsetDateTime),
    /// A word with a tone.
    Word(String, Tone),
    /// No value: this word for people, nothing in CSV.
    Absent(&'static str),
}

impl Cell {
    /// Text, or nothing.
    #[must_use]
    pub(crate) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Absent("-"), |text| Self::Text(text.to_owned()))
    }

    /// Minor units of the currency of that code.
    #[must_use]
    pub(crate) fn money(minor: i64, currency: &str) -> Self {
        Self::Money(i128::from(minor), Currency::from_code(currency))
    }

    fn for_people(&self) -> String {
        let text = match self {
            Self::Text(text) | Self::Long(text) | Self::Word(text, _) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Money(minor, Some(currency)) => amount::format(*minor, *currency),
            Self::Money(minor, None) => minor.to_string(),
            Self::Time(time) => when::format(*time),
            Self::Absent(word) => (*word).to_owned(),
        };
        // A control character would move the cursor or worse.
        text.replace(char::is_control, " ")
    }

    fn for_programs(&self) -> String {
        match self {
            Self::Text(text) | Self::Long(text) | Self::Word(text, _) => text.clone(),
            Self::Number(number) | Self::Money(number, _) => number.to_string(),
            Self::Time(time) => when::rfc3339(*time),
            Self::Absent(_) => String::new(),
        }
    }

    fn tone(&self) -> Option<Tone> {
        match self {
            Self::Word(_, tone) => Some(*tone),
            _ => None,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(i128::from(number))
    }
}

/// A thing with columns; its JSON is its serialisation.
pub(crate) trait Record: Serialize {
    /// The columns, in order.
    const COLUMNS: &'static [Column];

    /// A cell for each column.
    fn cells(&self) -> Vec<Cell>;
}

/// Rows of cells.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
}

const STYLE: TableStyle = TableStyle::new();

impl Table {
    /// A table without rows.
    #[must_use]
    pub(crate) fn empty(columns: &'static [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// The table of some records.
    #[must_use]
    pub(crate) fn of<T: Record>(records: &[T]) -> Self {
        let mut table = Self::empty(T::COLUMNS);
        for record in records {
            table.push(record);
        }
        table
    }

    /// Adds a record's row.
    pub(crate) fn push<T: Record>(&mut self, record: &T) {
        self.rows.push(record.cells());
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// For people: a heading and a line a row.
    #[must_use]
    pub(crate) fn horizontal(&self, color: bool, verbose: bool) -> String {
        let shown = |column: &&Column| verbose || !column.detail;
        let mut table = bare(color);
        table.set_header(
            self.columns.iter().filter(shown).map(|column| {
                comfy_table::Cell::new(column.heading()).add_attribute(Attribute::Bold)
            }),
        );
        for row in &self.rows {
            let cells = self
                .columns
                .iter()
                .zip(row)
                .filter(|(column, _)| shown(column));
            table.add_row(cells.map(|(_, cell)| match cell {
                Cell::Long(text) if !verbose => styled(&Cell::Text(beginning(text))),
                cell => styled(cell),
            }));
        }
        let right = self.columns.iter().filter(shown).map(|column| column.right);
        for (column, right) in table.column_iter_mut().zip(right) {
            column.set_padding((0, 2));
            if right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{}\n", table.trim_fmt())
    }

    /// For people: a line a field, for a single row.
    #[must_use]
    pub(crate) fn vertical(&self, color: bool) -> String {
        let mut table = bare(color);
        for row in &self.rows {
            for (column, cell) in self.columns.iter().zip(row) {
                let name = column.name.replace('_', " ");
                let name = comfy_table::Cell::new(name).add_attribute(Attribute::Bold);
                table.add_row([name, styled(cell)]);
            }
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        format!("{}\n", table.trim_fmt())
    }

    /// For programs.
    ///
    /// # Errors
    /// Where the writer fails.
    pub(crate) fn csv(&self, out: &mut impl Write, header: bool) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        if header {
            csv.write_record(self.columns.iter().map(|column| column.name))?;
        }
        for row in &self.rows {
            csv.write_record(row.iter().map(Cell::for_programs))?;
        }
        csv.flush()
    }
}

/// As much of a text as stands well in a line among others.
fn beginning(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text).trim_end()),
        None => text.to_owned(),
    }
}

fn bare(color: bool) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    if color {
        table.enforce_styling();
    }
    table
}

fn styled(cell: &Cell) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(cell.for_people());
    match cell.tone() {
        Some(Tone::Good) => shown.fg(Color::Green),
        Some(Tone::Warn) => shown.fg(Color::Yellow),
        Some(Tone::Bad) => shown.fg(Color::Red),
        None => shown,
    }
}
