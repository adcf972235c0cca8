//! All that is known at the end of the day, and whether it agrees.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::{Context, Result};

use crate::api::Answer;
use crate::money::Currency;
use crate::money_in::Asked;
use crate::stage::aegisctl::Verification;
use crate::story::Order;
use crate::tool;

/// What came of asking for payments.
#[derive(Debug, Default)]
pub(crate) struct Took {
    /// The payments' ids, by the order's place.
    ids: BTreeMap<usize, String>,
    pub asked_twice: u64,
    /// Answers other than they should be.
    pub wrong: Vec<String>,
}

impl Took {
    pub(crate) fn take(&mut self, order: &Order, fee: i64, asked: Asked) {
        self.asked_twice += u64::from(asked.answers.len() > 1);
        for answer in asked.answers {
            let reference = &order.reference;
            match answer {
                Answer::Refused(code) => {
                    self.wrong.push(format!("{reference} is refused: {code}"));
                }
                Answer::Payment(payment) => {
                    let parts = (payment.amount, payment.fee, payment.net);
                    if parts != (order.amount, fee, order.amount - fee) {
                        self.wrong
                            .push(format!("{reference}: the parts are {parts:?}"));
                    }
                    let first = self.ids.entry(asked.place).or_insert(payment.id.clone());
                    if *first != payment.id {
                        self.wrong.push(format!(
                            "{reference} was made twice: {first}, {}",
                            payment.id
                        ));
                    }
                }
            }
        }
    }

    /// The id of an order's payment.
    pub(crate) fn payment(&self, order: usize) -> Result<&str> {
        let id = self.ids.get(&order);
        Ok(id.context("the order has no payment")?)
    }
}

/// How money went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Refund,
    /// A rule said no, by this code.
    Refused(String),
    Chargeback,
}

/// Money that went back, or was to.
#[derive(Clone, Debug)]
pub(crate) struct GaveBack {
    pub order: usize,
    pub amount: i64,
    pub way: Way,
}

/// A sum as each of the three has it; none where it is not its concern.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub currency: Currency,
    pub what: &'static str,
    pub own: i64,
    pub ledger: Option<i64>,
    pub psp: Option<i64>,
}

impl Row {
    pub(crate) fn agrees(&self) -> bool {
        [self.ledger, self.psp]
            .into_iter()
            .flatten()
            .all(|found| found == self.own)
    }

    /// The largest distance from what is expected.
    pub(crate) fn difference(&self) -> i64 {
        let found = [self.ledger, self.psp].into_iter().flatten();
        let differences = found.map(|found| found - self.own);
        differences.max_by_key(|d| d.abs()).unwrap_or(0)
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// Money that moved.
    pub flows: Vec<Row>,
    /// Money that lies somewhere.
    pub balances: Vec<Row>,
    pub findings: Findings,
    pub faults: BTreeMap<String, u64>,
    pub verification: Verification,
    pub trace: tool::Trace,
}

/// What was compared, and what did not agree.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub compared: u64,
    pub differences: Vec<String>,
}

impl Findings {
    pub(crate) fn same<T: PartialEq + Display>(&mut self, what: &str, expected: &T, found: &T) {
        self.compared += 1;
        if expected != found {
            let difference = format!("{what}: {found} instead of {expected}");
            self.differences.push(difference);
        }
    }

    pub(crate) fn rows(&mut self, rows: &[Row]) {
        for row in rows {
            self.compared += 1;
            if !row.agrees() {
                let show = |amount: i64| row.currency.show(amount);
                let found = |found: Option<i64>| found.map_or("-".to_owned(), show);
                self.differences.push(format!(
                    "{} {}: expected {}, the ledger has {}, the PSP {}",
                    row.currency.code(),
                    row.what,
                    show(row.own),
                    found(row.ledger),
                    found(row.psp)
                ));
            }
        }
    }
}
