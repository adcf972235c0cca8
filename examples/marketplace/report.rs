//! The tables at the end: what was sent beside what came of it, the balances from three sources,
//! and what `aegisctl ledger verify` found. A number that should be another one says both.

use std::collections::BTreeSet;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle,
};

use crate::evidence::{Evidence, Source};
use crate::money::{Currency, grouped};
use crate::tally::Count;

/// The first segments of the addresses, and what their balances say.
const SEGMENTS: [(&str, &str); 5] = [
    ("psp", "came in, less refunds"),
    ("merchant", "theirs, not paid out yet"),
    ("platform", "fees, taken at night"),
    ("customers", "refunds on their way"),
    ("bank", "paid out"),
];

/// Makes the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'e> {
    pub evidence: &'e Evidence,
    pub color: bool,
}

impl Report<'_> {
    /// Counts of requests and events, by currency.
    pub(crate) fn counts(&self) -> String {
        let evidence = self.evidence;
        let codes: BTreeSet<&String> = evidence
            .predicted
            .iter()
            .chain(&evidence.tally.counts)
            .flat_map(|count| count.refused.keys())
            .collect();
        let mut header = vec![
            "currency".to_owned(),
            "sent".into(),
            "posted".into(),
            "replayed".into(),
        ];
        header.extend(
            codes
                .iter()
                .map(|code| format!("refused:\n{}", halved(code))),
        );
        header.push("left in\noutbox".into());
        match evidence.source {
            Source::Events(_) => header.extend([
                "published".into(),
                "repeats\ndropped".into(),
                "consumed".into(),
            ]),
            Source::Statements => header.push("in state-\nments".into()),
        }
        let mut table = self.table(&header, 1);
        let witnessed = evidence.witnessed();
        for (name, range) in lines() {
            let sum = |of: &dyn Fn(usize) -> u64| range.clone().map(of).sum::<u64>();
            let pair = |of: &dyn Fn(&Count) -> u64| {
                let found = sum(&|n| of(&evidence.tally.counts[n]));
                self.number(found, sum(&|n| of(&evidence.predicted[n])))
            };
            let mut row = vec![Cell::new(name), pair(&|count| count.sent)];
            row.extend([pair(&|count| count.posted), pair(&|count| count.replayed)]);
            for code in &codes {
                row.push(pair(&|count| {
                    count.refused.get(*code).copied().unwrap_or(0)
                }));
            }
            row.push(self.number(sum(&|n| evidence.waiting[n]), 0));
            let posted = sum(&|n| evidence.tally.counts[n].posted);
            let consumed = sum(&|n| witnessed[n]);
            if let Source::Events(published) = &evidence.source {
                let dropped = sum(&|n| evidence.account.dropped[n]);
                let published = sum(&|n| published.records[n]);
                row.push(self.number(published, consumed + dropped));
                row.push(Cell::new(grouped(dropped)));
            }
            row.push(self.number(consumed, posted));
            table.add_row(row);
        }
        aligned(table, 1).trim_fmt()
    }

    /// Money, by currency.
    pub(crate) fn money(&self) -> String {
        let evidence = self.evidence;
        let witness = match evidence.source {
            Source::Events(_) => "consumed",
            Source::Statements => "in statements",
        };
        let mut table = self.table(&["currency", "asked for", "posted", witness], 1);
        for currency in Currency::ALL {
            let n = currency.index();
            let (found, predicted) = (&evidence.tally.counts[n], &evidence.predicted[n]);
            table.add_row([
                Cell::new(currency.code()),
                self.amount(currency, found.money_sent, predicted.money_sent),
                self.amount(currency, found.money_posted, predicted.money_posted),
                self.amount(currency, evidence.account.money[n], found.money_posted),
            ]);
        }
        aligned(table, 1).trim_fmt()
    }

    /// Balances by first segment: predicted, the API's, the witness's.
    pub(crate) fn balances(&self) -> String {
        let evidence = self.evidence;
        let witness = match evidence.source {
            Source::Events(_) => "sum of the events",
            Source::Statements => "sum of statements",
        };
        let header = ["currency", "wallets", "own bookkeeping", "API", witness, ""];
        let mut table = self.table(&header, 2);
        let listed = evidence.api_balances();
        for currency in Currency::ALL {
            // Said once is enough.
            let first = currency.index() == 0;
            let mut sums = [0; 3];
            for (n, (segment, meaning)) in SEGMENTS.into_iter().enumerate() {
                let mut row = [0; 3];
                for id in evidence.of_segment(currency, segment) {
                    row[0] += evidence.predicted_balances[id];
                    row[1] += listed[id].unwrap_or(0);
                    row[2] += evidence.account.balances[id];
                }
                for (sum, part) in sums.iter_mut().zip(row) {
                    *sum += part;
                }
                let code = if n == 0 { currency.code() } else { "" };
                let meaning = if first { meaning } else { "" };
                table.add_row(self.balance_row(currency, [code, segment, meaning], row, row[0]));
            }
            let meaning = if first { "always zero" } else { "" };
            table.add_row(self.balance_row(currency, ["", "all", meaning], sums, 0));
        }
        let mut table = aligned(table, 2);
        if let Some(column) = table.column_mut(5) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        table.trim_fmt()
    }

    fn balance_row(
        &self,
        currency: Currency,
        [code, segment, meaning]: [&str; 3],
        row: [i64; 3],
        expected: i64,
    ) -> Vec<Cell> {
        let mut cells = vec![Cell::new(code), Cell::new(segment)];
        cells.extend(row.map(|found| self.amount(currency, found, expected)));
        cells.push(self.faint(meaning));
        cells
    }

    /// The checks of `ledger verify`.
    pub(crate) fn checks(&self) -> String {
        let mut table = self.table(&["check", "checked", "violations", ""], 1);
        for check in &self.evidence.verification.checks {
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
        let mut table = aligned(table, 1);
        if let Some(column) = table.column_mut(3) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        table.trim_fmt()
    }

    fn table<T: ToString>(&self, header: &[T], left: usize) -> Table {
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

    fn number(&self, found: u64, expected: u64) -> Cell {
        if found == expected {
            return Cell::new(grouped(found));
        }
        self.bad(&format!("{} ≠ {}", grouped(found), grouped(expected)))
    }

    fn amount(&self, currency: Currency, found: i64, expected: i64) -> Cell {
        if found == expected {
            return Cell::new(currency.show(found));
        }
        self.bad(&format!(
            "{} ≠ {}",
            currency.show(found),
            currency.show(expected)
        ))
    }

    fn bad(&self, text: &str) -> Cell {
        Cell::new(text)
            .fg(Color::Red)
            .add_attribute(Attribute::Bold)
    }

    fn faint(&self, text: &str) -> Cell {
        Cell::new(text).add_attribute(Attribute::Dim)
    }
}

/// A line a currency, and one for all.
fn lines() -> impl Iterator<Item = (&'static str, std::ops::Range<usize>)> {
    let each =
        Currency::ALL.map(|currency| (currency.code(), currency.index()..currency.index() + 1));
    each.into_iter().chain([("all", 0..Currency::ALL.len())])
}

/// Numbers to the right, what stands before them to the left.
fn aligned(mut table: Table, left: usize) -> Table {
    for (n, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if n >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A long code in two lines, broken behind an underscore near its middle.
fn halved(code: &str) -> String {
    let middle = code.len() / 2;
    let place = code
        .match_indices('_')
        .map(|(at, _)| at + 1)
        .min_by_key(|at| at.abs_diff(middle))
        .filter(|_| code.len() > 12);
    match place {
        Some(at) => format!("{}\n{}", &code[..at], &code[at..]),
        None => code.to_owned(),
    }
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
        _ => "",
    }
}
