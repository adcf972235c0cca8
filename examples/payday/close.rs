//! The end of the day: the demo's own arithmetic is done once more, from what happened at the PSP,
//! and held against the ledger and the PSP.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::Payment;
use crate::books::Books;
use crate::evidence::{Findings, GaveBack, Row, Way};
use crate::money::Currency;
use crate::psp::{Line, Psp};
use crate::story::Order;
use crate::world::Merchant;

/// What is read from the ledger.
pub(crate) struct Read {
    pub payments: BTreeMap<String, Payment>,
    pub refunds: Vec<Value>,
    pub payouts: Vec<Value>,
    pub discrepancies: Vec<Value>,
    /// By address and currency.
    pub balances: BTreeMap<(String, String), i64>,
}

/// Everything that the comparison needs.
pub(crate) struct Close<'d> {
    pub merchants: &'d [Merchant],
    pub orders: &'d [Order],
    /// What went back before settlement, after it, and after the payouts.
    pub gave_back: &'d [Vec<GaveBack>; 3],
    /// The end of the merchants' day, as the PSP writes times.
    pub cut_off: &'d str,
    pub psp: &'d Psp,
    pub read: &'d Read,
}

/// Sums that the demo's own books come to, beside the balances.
#[derive(Debug, Default)]
struct Own {
    payments: Line,
    /// What the platform takes, and what is left for merchants.
    fees: i64,
    net: i64,
    otherwise: Line,
    refunds: Line,
    chargebacks: Line,
    payouts: Line,
}

impl Close<'_> {
    /// The rows of both tables, and what differs.
    pub(crate) fn compare(&self, findings: &mut Findings) -> (Vec<Row>, Vec<Row>) {
        let (books, own) = self.replay(findings);
        self.payments_one_by_one(&books, findings);
        let flows = self.flows(&own);
        let balances = self.balances(&books, findings);
        findings.rows(&flows);
        findings.rows(&balances);
        (flows, balances)
    }

    /// The day once more, with the demo's own arithmetic: what happened is taken from the PSP, what
    /// it comes to is not.
    fn replay(&self, findings: &mut Findings) -> (Books<'_>, BTreeMap<Currency, Own>) {
        let mut books = Books::new(self.merchants);
        let mut own: BTreeMap<Currency, Own> = BTreeMap::new();
        for (place, order) in self.orders.iter().enumerate() {
            let Some((paid, _)) = self.psp.paid.get(&order.reference) else {
                continue;
            };
            let psp_fee = order.currency.psp_fee_of_payment(*paid);
            let own = own.entry(order.currency).or_default();
            if *paid != order.amount {
                own.otherwise.add(*paid, psp_fee);
                continue;
            }
            books.pay(place, order.merchant, *paid);
            let fee = self.merchants[order.merchant].fee.of(*paid);
            own.payments.add(*paid, psp_fee);
            own.fees += fee;
            own.net += paid - fee;
        }
        let mut begun: BTreeMap<usize, usize> = BTreeMap::new();
        let [before, between, after] = self.gave_back;
        self.give_back(before, &mut books, &mut own, &mut begun, findings);
        self.settle(&mut books);
        self.give_back(between, &mut books, &mut own, &mut begun, findings);
        self.pay_out(&mut books, &mut own, findings);
        self.give_back(after, &mut books, &mut own, &mut begun, findings);
        (books, own)
    }

    fn give_back(
        &self,
        gave_back: &[GaveBack],
        books: &mut Books<'_>,
        own: &mut BTreeMap<Currency, Own>,
        begun: &mut BTreeMap<usize, usize>,
        findings: &mut Findings,
    ) {
        for back in gave_back {
            let order = &self.orders[back.order];
            let own = own.entry(order.currency).or_default();
            match &back.way {
                Way::Chargeback => {
                    own.chargebacks.add(back.amount, 0);
                    books.chargeback(back.order, back.amount);
                }
                Way::Refund => {
                    let number = begun.entry(back.order).or_default();
                    let there = self.psp.refunds.get(&order.reference);
                    let arrived = there.and_then(|refunds| refunds.get(*number));
                    *number += 1;
                    match arrived {
                        Some(true) => {
                            own.refunds.add(back.amount, 0);
                            books.refund(back.order, back.amount);
                        }
                        Some(false) => {}
                        None => findings.differences.push(format!(
                            "{}: a refund of {} was asked for and never came to the PSP",
                            order.reference,
                            order.currency.show(back.amount)
                        )),
                    }
                }
                Way::Refused(code) => findings.differences.push(format!(
                    "{}: a refund of {} was refused: {code}",
                    order.reference,
                    order.currency.show(back.amount)
                )),
            }
        }
    }

    /// Merchants of T+0 get what was paid before the end of their day.
    fn settle(&self, books: &mut Books<'_>) {
        for merchant in 0..self.merchants.len() {
            if self.merchants[merchant].days > 0 {
                continue;
            }
            let orders = self.orders.iter().enumerate();
            let matured: Vec<usize> = orders
                .filter(|(_, order)| order.merchant == merchant)
                .filter(|(_, order)| {
                    let paid = self.psp.paid.get(&order.reference);
                    paid.is_some_and(|(_, at)| at.as_str() < self.cut_off)
                })
                .map(|(place, _)| place)
                .collect();
            books.settle(merchant, &matured);
        }
    }

    fn pay_out(
        &self,
        books: &mut Books<'_>,
        own: &mut BTreeMap<Currency, Own>,
        findings: &mut Findings,
    ) {
        let mut payouts: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
        for payout in &self.read.payouts {
            let text = |name: &str| payout[name].as_str().unwrap_or_default();
            let amount = payout["amount"].as_i64().unwrap_or(0);
            let of_merchant = payouts.entry(text("merchant")).or_default();
            of_merchant.push((amount, text("reference")));
        }
        for (merchant, of) in self.merchants.iter().enumerate() {
            let expected: Vec<i64> = books.payable(merchant).into_iter().collect();
            let found = payouts.remove(of.name.as_str()).unwrap_or_default();
            let amounts: Vec<i64> = found.iter().map(|(amount, _)| *amount).collect();
            let what = format!("payouts to {}", of.name);
            findings.same(
                &what,
                &listed(of.currency, &expected),
                &listed(of.currency, &amounts),
            );
            for (amount, reference) in found {
                let there = self.psp.transfers.get(reference);
                let paid = there.map_or(0, |(amount, _)| *amount);
                findings.same(
                    &format!("{what}, {reference} at the PSP"),
                    &of.currency.show(amount),
                    &of.currency.show(paid),
                );
                if there.is_some_and(|(_, arrived)| *arrived) {
                    let fee = of.currency.psp_fee_of_transfer(amount);
                    own.entry(of.currency).or_default().payouts.add(amount, fee);
                    books.pay_out(merchant, amount);
                }
            }
        }
        findings.same("payouts to somebody unknown", &0, &payouts.len());
        let (here, there) = (self.read.payouts.len(), self.psp.transfers.len());
        findings.same("transfers that the PSP made", &here, &there);
    }

    /// Each payment's status and parts.
    fn payments_one_by_one(&self, books: &Books<'_>, findings: &mut Findings) {
        findings.same("payments", &self.orders.len(), &self.read.payments.len());
        for (place, order) in self.orders.iter().enumerate() {
            let Some(payment) = self.read.payments.get(&order.reference) else {
                findings
                    .differences
                    .push(format!("{} is not in the ledger", order.reference));
                continue;
            };
            let credited = books.credited.get(&place);
            let what = |what: &str| format!("{}, {what}", order.reference);
            findings.same(&what("paid"), &credited.is_some(), &payment.is_paid());
            if let Some(credited) = credited {
                findings.same(&what("fee"), &credited.fee, &payment.fee);
                findings.same(&what("settled"), &credited.is_settled, &payment.is_settled);
                let psp_fee = order.currency.psp_fee_of_payment(order.amount);
                findings.same(
                    &what("the PSP's fee"),
                    &psp_fee,
                    &payment.psp_fee.unwrap_or(-1),
                );
            }
        }
    }

    fn flows(&self, own: &BTreeMap<Currency, Own>) -> Vec<Row> {
        let mut rows = Vec::new();
        let none = Own::default();
        for currency in Currency::ALL {
            let own = own.get(&currency).unwrap_or(&none);
            let there = self.psp.of_currency(currency);
            let here = self.ledger_sums(currency);
            let mut row = |what, own, ledger, psp| {
                rows.push(Row {
                    currency,
                    what,
                    own,
                    ledger,
                    psp,
                });
            };
            row(
                "payments",
                own.payments.amount,
                Some(here.payments.amount),
                Some(there.payments.amount),
            );
            row("  to merchants", own.net, Some(here.net), None);
            row("  platform's fees", own.fees, Some(here.fees), None);
            row(
                "  the PSP's fees",
                own.payments.fees,
                Some(here.payments.fees),
                Some(there.payments.fees),
            );
            row(
                "paid otherwise",
                own.otherwise.amount,
                Some(here.otherwise.amount),
                Some(there.otherwise.amount),
            );
            row(
                "refunds",
                own.refunds.amount,
                Some(here.refunds.amount),
                Some(there.refunds.amount),
            );
            row(
                "chargebacks",
                own.chargebacks.amount,
                None,
                Some(there.chargebacks.amount),
            );
            row(
                "payouts",
                own.payouts.amount,
                Some(here.payouts.amount),
                Some(there.transfers.amount),
            );
            row(
                "  the PSP's fees",
                own.payouts.fees,
                Some(here.payouts.fees),
                Some(there.transfers.fees),
            );
        }
        rows
    }

    /// The same sums, from what the ledger lists.
    fn ledger_sums(&self, currency: Currency) -> Own {
        let mut sums = Own::default();
        let of = |value: &Value| value["currency"] == currency.code();
        let minor = |value: &Value, name: &str| value[name].as_i64().unwrap_or(0);
        let currencies: BTreeMap<&str, Currency> = self
            .orders
            .iter()
            .map(|order| (order.reference.as_str(), order.currency))
            .collect();
        for payment in self.read.payments.values().filter(|p| p.is_paid()) {
            if currencies.get(payment.reference.as_str()) == Some(&currency) {
                sums.payments
                    .add(payment.amount, payment.psp_fee.unwrap_or(0));
                sums.fees += payment.fee;
                sums.net += payment.net;
            }
        }
        let amount_differs =
            |d: &&Value| d["class"] == "amount" && d["found_currency"] == currency.code();
        for found in self.read.discrepancies.iter().filter(amount_differs) {
            sums.otherwise.add(minor(found, "found_amount"), 0);
        }
        for refund in self
            .read
            .refunds
            .iter()
            .filter(|r| of(r) && r["status"] == "succeeded")
        {
            sums.refunds.add(minor(refund, "amount"), 0);
        }
        for payout in self
            .read
            .payouts
            .iter()
            .filter(|p| of(p) && p["status"] == "succeeded")
        {
            sums.payouts
                .add(minor(payout, "amount"), minor(payout, "psp_fee"));
        }
        sums
    }

    /// Wallet by wallet, and a row for each kind of them.
    fn balances(&self, books: &Books<'_>, findings: &mut Findings) -> Vec<Row> {
        let mut rows = Vec::new();
        let balance = |address: &str, currency: Currency| {
            let wallet = (address.to_owned(), currency.code().to_owned());
            self.read.balances.get(&wallet).copied().unwrap_or(0)
        };
        for currency in Currency::ALL {
            let mut sums: BTreeMap<&'static str, (i64, i64)> = BTreeMap::new();
            for (merchant, purses) in self.merchants.iter().zip(&books.purses) {
                if merchant.currency != currency {
                    continue;
                }
                let purses = [
                    ("pending", purses.pending),
                    ("available", purses.available),
                    ("reserve", purses.reserve),
                    ("owed", purses.owed),
                ];
                for (purse, expected) in purses {
                    let address = format!("merchant:{}:{purse}", merchant.name);
                    let found = balance(&address, currency);
                    let what = format!("{address} in {}", currency.code());
                    findings.same(&what, &currency.show(expected), &currency.show(found));
                    let sum = sums.entry(purse).or_default();
                    sum.0 += expected;
                    sum.1 += found;
                }
            }
            let house = books.house.get(&currency).copied().unwrap_or_default();
            let mut row = |what, own, ledger, psp| {
                rows.push(Row {
                    currency,
                    what,
                    own,
                    ledger: Some(ledger),
                    psp,
                });
            };
            for purse in ["pending", "available", "reserve", "owed"] {
                let (own, ledger) = sums.get(purse).copied().unwrap_or((0, 0));
                row(purse, own, ledger, None);
            }
            row(
                "platform:fees",
                house.fees,
                balance("platform:fees", currency),
                None,
            );
            row(
                "platform:psp_fees",
                house.psp_fees,
                balance("platform:psp_fees", currency),
                None,
            );
            let there = self.psp.of_currency(currency);
            row(
                "refunds:in_transit",
                0,
                balance("refunds:in_transit", currency),
                Some(0),
            );
            row(
                "payouts:in_transit",
                0,
                balance("payouts:in_transit", currency),
                Some(there.in_transit),
            );
            row(
                "psp:paystack",
                house.psp,
                balance("psp:paystack", currency),
                Some(-there.owed()),
            );
        }
        rows
    }
}

/// Amounts in words.
fn listed(currency: Currency, amounts: &[i64]) -> String {
    match amounts {
        [] => "none".to_owned(),
        amounts => {
            let amounts: Vec<String> = amounts.iter().map(|a| currency.show(*a)).collect();
            amounts.join(", ")
        }
    }
}
