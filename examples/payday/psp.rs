//! The PSP's own books, summed up.

use std::collections::{BTreeMap, BTreeSet};

use crate::money::Currency;
use crate::simulator::Movement;
use crate::story::Order;

/// Its books in a currency.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// What it holds for the platform.
    pub balance: i64,
    /// Payments of the amount that was asked for, and of another one: how many, how much, and what
    /// the PSP kept of it.
    pub payments: Line,
    pub otherwise: Line,
    pub refunds: Line,
    pub refunds_failed: Line,
    pub chargebacks: Line,
    pub transfers: Line,
    /// Transfers that failed or came back.
    pub transfers_returned: Line,
    pub in_transit: i64,
}

/// So many, so much together, and the PSP's fees on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub count: u64,
    pub amount: i64,
    pub fees: i64,
}

impl Line {
    pub(crate) fn add(&mut self, amount: i64, fees: i64) {
        self.count += 1;
        self.amount += amount;
        self.fees += fees;
    }
}

impl Account {
    /// What it owes for what the ledger knows of: all but what was paid otherwise than asked for.
    pub(crate) fn owed(&self) -> i64 {
        self.balance - (self.otherwise.amount - self.otherwise.fees)
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Psp {
    accounts: BTreeMap<Currency, Account>,
    /// What was paid, by reference: the amount, and when.
    pub paid: BTreeMap<String, (i64, String)>,
    /// Refunds of a payment in the order in which they were begun, and whether each arrived.
    pub refunds: BTreeMap<String, Vec<bool>>,
    /// Transfers by reference: the amount, and whether it arrived for good.
    pub transfers: BTreeMap<String, (i64, bool)>,
}

impl Psp {
    pub(crate) fn of(movements: &[Movement], orders: &[Order]) -> Self {
        let asked: BTreeMap<&str, i64> = orders
            .iter()
            .map(|order| (order.reference.as_str(), order.amount))
            .collect();
        let of_kind = |kind: &str| -> BTreeSet<u64> {
            let of_it = movements.iter().filter(|movement| movement.kind == kind);
            of_it.map(|movement| movement.id).collect()
        };
        let returned = of_kind("transfer_return");
        let refunds_failed = of_kind("refund_return");
        let mut psp = Self::default();
        for movement in movements {
            let Some(currency) = Currency::from_code(&movement.currency) else {
                continue;
            };
            let account = psp.accounts.entry(currency).or_default();
            let (balance, fees) = (movement.change("balance"), movement.change("fees"));
            account.balance += balance;
            account.in_transit +=
                movement.change("transfers_in_transit") + movement.change("refunds_in_transit");
            let reference = movement.reference.as_str();
            match movement.kind.as_str() {
                "payment" => {
                    let amount = balance + fees;
                    let in_full = asked.get(reference) == Some(&amount);
                    let line = match in_full {
                        true => &mut account.payments,
                        false => &mut account.otherwise,
                    };
                    line.add(amount, fees);
                    let paid = (amount, movement.at.clone());
                    psp.paid.insert(reference.to_owned(), paid);
                }
                "refund" => {
                    let arrived = !refunds_failed.contains(&movement.id);
                    let line = match arrived {
                        true => &mut account.refunds,
                        false => &mut account.refunds_failed,
                    };
                    line.add(-balance, 0);
                    let of_payment = psp.refunds.entry(reference.to_owned()).or_default();
                    of_payment.push(arrived);
                }
                "chargeback" => account.chargebacks.add(-balance, 0),
                "transfer" => {
                    let arrived = !returned.contains(&movement.id);
                    let line = match arrived {
                        true => &mut account.transfers,
                        false => &mut account.transfers_returned,
                    };
                    let amount = -balance - fees;
                    line.add(amount, fees);
                    let transfer = (amount, arrived);
                    psp.transfers.insert(reference.to_owned(), transfer);
                }
                _ => {}
            }
        }
        psp
    }

    pub(crate) fn of_currency(&self, currency: Currency) -> Account {
        self.accounts.get(&currency).cloned().unwrap_or_default()
    }
}
