//! The tables at the end.

use comfy_table::Cell;

use crate::evidence::Row;
use crate::money::{Currency, DECIMALS};
use crate::stage::numbers::amount as amount_of;
use crate::stage::table::{Tables, aligned, words_last};
use crate::tool::Trace;

/// What lies in the wallets of each kind, for a reader who is new to it.
const MEANINGS: [(&str, &str); 9] = [
    ("pending", "paid, not matured"),
    ("available", "matured, not paid out"),
    ("reserve", "held back for 30 days"),
    ("owed", "chargebacks beyond what there was"),
    ("platform:fees", "what the platform earned"),
    ("platform:psp_fees", "what the PSP took"),
    ("refunds:in_transit", "a clearing wallet: nothing left"),
    ("payouts:in_transit", "a clearing wallet: nothing left"),
    ("psp:paystack", "what the PSP holds for the platform"),
];

/// A row a sum: the demo's own arithmetic, the ledger, the PSP.
pub(crate) fn side_by_side(tables: Tables, rows: &[Row], with_meanings: bool) -> String {
    let header = [
        "currency",
        "",
        "own arithmetic",
        "ledger",
        "the PSP's books",
        "difference",
        "",
    ];
    let mut table = tables.table(&header, 2);
    let mut last = None;
    for row in rows {
        let is_first = last != Some(row.currency);
        last = Some(row.currency);
        let code = if is_first { row.currency.code() } else { "" };
        let found = |found: Option<i64>| match found {
            Some(found) => tables.amount(DECIMALS, found, row.own),
            None => Cell::new(""),
        };
        let meaning = MEANINGS.iter().find(|(what, _)| *what == row.what);
        let meaning = meaning.filter(|_| with_meanings && row.currency == Currency::ALL[0]);
        table.add_row([
            Cell::new(code),
            Cell::new(row.what),
            Cell::new(row.currency.show(row.own)),
            found(row.ledger),
            found(row.psp),
            tables.amount(DECIMALS, row.difference(), 0),
            tables.faint(meaning.map_or("", |(_, meaning)| meaning)),
        ]);
    }
    words_last(aligned(table, 2)).trim_fmt()
}

/// What happened to a payment.
pub(crate) fn trace(tables: Tables, trace: &Trace) -> String {
    let mut table = tables.table(&["at", "what", "", "amount"], 3);
    for moment in &trace.moments {
        let amount = moment.amount.map(|amount| amount_of(amount, DECIMALS));
        table.add_row([
            moment.at.clone(),
            moment.what.clone(),
            moment.state.clone(),
            amount.unwrap_or_default(),
        ]);
    }
    aligned(table, 3).trim_fmt()
}
