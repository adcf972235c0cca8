//! Tables: a number that should be another one says both.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle,
};

use super::aegisctl::Check;
use super::numbers::{amount, grouped};

/// Makes tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    pub color: bool,
}

impl Tables {
    /// A table whose first columns are words, and the others numbers.
    pub(crate) fn table<T: ToString>(self, header: &[T], left: usize) -> Table {
        let mut table = Table::new();
        let line = if self.color { '─' } else { '-' };
        let line = LineStyle::none().fill(line).junction(line);
        table.load_style(TableStyle::new().header_separator(line));
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.force_no_tty();
        if self.color {
            table.enforce_styling();
        }
        table.set_header(header.iter().enumerate().map(|(n, name)| {
            let cell = Cell::new(name.to_string());
            let cell = if n < left {
                cell
            } else {
                cell.set_alignment(CellAlignment::Right)
            };
            if self.color {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        table
    }

    pub(crate) fn number(self, found: u64, expected: u64) -> Cell {
        if found == expected {
            return Cell::new(grouped(found));
        }
        self.bad(&format!("{} ≠ {}", grouped(found), grouped(expected)))
    }

    /// An amount in a currency with so many decimals.
    pub(crate) fn amount(self, decimals: usize, found: i64, expected: i64) -> Cell {
        let found_text = amount(found, decimals);
        if found == expected {
            return Cell::new(found_text);
        }
        self.bad(&format!("{found_text} ≠ {}", amount(expected, decimals)))
    }

    pub(crate) fn bad(self, text: &str) -> Cell {
        Cell::new(text)
            .fg(Color::Red)
            .add_attribute(Attribute::Bold)
    }

    pub(crate) fn faint(self, text: &str) -> Cell {
        Cell::new(text).add_attribute(Attribute::Dim)
    }

    /// The checks of `ledger verify`.
    pub(crate) fn checks(self, checks: &[Check]) -> String {
        let mut table = self.table(&["check", "checked", "violations", ""], 1);
        for check in checks {
            table.add_row([
                Cell::new(&check.name),
                Cell::new(grouped(check.checked)),
                self.number(check.violations, 0),
                match check.ok && check.first.is_none() {
                    true => self.faint(meaning(&check.name)),
                    false => self.bad("see below"),
                },
            ]);
        }
        words_last(aligned(table, 1)).trim_fmt()
    }
}

/// Numbers to the right, what stands before them to the left.
pub(crate) fn aligned(mut table: Table, left: usize) -> Table {
    for (n, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if n >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The last column holds words, too.
pub(crate) fn words_last(mut table: Table) -> Table {
    let last = table.column_count().saturating_sub(1);
    if let Some(column) = table.column_mut(last) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

/// What a check of `ledger verify` says where it finds nothing.
fn meaning(check: &str) -> &'static str {
    match check {
        "zero_sum" => "each transaction's debits and credits cancel",
        "totals" => "each currency's wallets sum to zero",
        "balances" => "each balance is the sum of its entries",
        "versions" => "no wallet's history has a gap",
        "hash_chain" => "no entry was changed after it was written",
        "references" => "each entry has its transaction and its wallet",
        "holds" => "what is held is what the holds say",
        "outbox" => "each waiting event is of a posted transaction",
        "payouts" => "each payout moved its money once",
        "refunds" => "what is on its way back is that of open refunds",
        _ => "",
    }
}
