//! The tables at the end: what was sent beside what came of it, the balances from three sources,
//! and what `aegisctl ledger verify` found. A number that should be another one says both.

use std::collections::BTreeSet;

use comfy_table::Cell;

use crate::evidence::{Evidence, Source};
use crate::money::Currency;
use crate::stage::numbers::grouped;
use crate::stage::table::{Tables, aligned, words_last};
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
    pub tables: Tables,
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
        let mut table = self.tables.table(&header, 1);
        let witnessed = evidence.witnessed();
        for (name, range) in lines() {
            let sum = |of: &dyn Fn(usize) -> u64| range.clone().map(of).sum::<u64>();
            let pair = |of: &dyn Fn(&Count) -> u64| {
                let found = sum(&|n| of(&evidence.tally.counts[n]));
                self.tables
                    .number(found, sum(&|n| of(&evidence.predicted[n])))
            };
            let mut row = vec![Cell::new(name), pair(&|count| count.sent)];
            row.extend([pair(&|count| count.posted), pair(&|count| count.replayed)]);
            for code in &codes {
                row.push(pair(&|count| {
                    count.refused.get(*code).copied().unwrap_or(0)
                }));
            }
            row.push(self.tables.number(sum(&|n| evidence.waiting[n]), 0));
            let posted = sum(&|n| evidence.tally.counts[n].posted);
            let consumed = sum(&|n| witnessed[n]);
            if let Source::Events(published) = &evidence.source {
                let dropped = sum(&|n| evidence.account.dropped[n]);
                let published = sum(&|n| published.records[n]);
                row.push(self.tables.number(published, consumed + dropped));
                row.push(Cell::new(grouped(dropped)));
            }
            row.push(self.tables.number(consumed, posted));
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
        let mut table = self
            .tables
            .table(&["currency", "asked for", "posted", witness], 1);
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
        let mut table = self.tables.table(&header, 2);
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
        words_last(aligned(table, 2)).trim_fmt()
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
        cells.push(self.tables.faint(meaning));
        cells
    }

    fn amount(&self, currency: Currency, found: i64, expected: i64) -> Cell {
        self.tables.amount(currency.decimals(), found, expected)
    }
}

/// A line a currency, and one for all.
fn lines() -> impl Iterator<Item = (&'static str, std::ops::Range<usize>)> {
    let each =
        Currency::ALL.map(|currency| (currency.code(), currency.index()..currency.index() + 1));
    each.into_iter().chain([("all", 0..Currency::ALL.len())])
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
