//! The day once more, with the demo's own arithmetic: what happened is taken from the PSP, what it
//! comes to is not.

use std::collections::BTreeMap;

use crate::books::Books;
use crate::compare::Compare;
use crate::evidence::{Findings, GaveBack, Way};
use crate::money::Currency;
use crate::psp::Line;

/// Sums that the demo's own books come to, beside the balances.
#[derive(Debug, Default)]
pub(crate) struct Own {
    pub payments: Line,
    /// What the platform takes, and what is left for merchants.
    pub fees: i64,
    pub net: i64,
    pub otherwise: Line,
    pub refunds: Line,
    pub chargebacks: Line,
    pub payouts: Line,
    /// What the payout run was to send.
    pub due: Line,
}
impl Compare<'_> {
    /// The day once more, with the demo's own arithmetic: what happened is taken from the PSP, what
    /// it comes to is not.
    pub(crate) fn replay(&self, findings: &mut Findings) -> (Books<'_>, BTreeMap<Currency, Own>) {
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
            let due = &mut own.entry(of.currency).or_default().due;
            expected.iter().for_each(|amount| due.add(*amount, 0));
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
