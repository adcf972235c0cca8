//! The demo's own arithmetic beside the ledger and the PSP.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::Payment;
use crate::books::Books;
use crate::evidence::{Findings, GaveBack, Row};
use crate::money::Currency;
use crate::psp::Psp;
use crate::replay::Own;
use crate::story::Order;
use crate::tool::{Reconciled, Run};
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
pub(crate) struct Compare<'d> {
    pub merchants: &'d [Merchant],
    pub orders: &'d [Order],
    /// What went back before settlement, after it, and after the payouts.
    pub gave_back: &'d [Vec<GaveBack>; 3],
    /// The end of the merchants' day, as the PSP writes times.
    pub cut_off: &'d str,
    pub psp: &'d Psp,
    pub read: &'d Read,
}

impl Compare<'_> {
    /// The rows of both tables, and what differs.
    pub(crate) fn compare(&self, runs: &[Run], findings: &mut Findings) -> (Vec<Row>, Vec<Row>) {
        let (books, own) = self.replay(findings);
        self.payments_one_by_one(&books, findings);
        for run in runs {
            payout_run(run, own.get(&run.currency), findings);
        }
        let flows = self.flows(&own);
        let balances = self.balances(&books, findings);
        findings.rows(&flows);
        findings.rows(&balances);
        (flows, balances)
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
                Some(here.chargebacks.amount),
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
        // What the PSP told; reconciliation finds each of them once more.
        let is_otherwise = |found: &&Value| {
            found["class"] == "amount"
                && found["source"] != "reconciliation"
                && found["found_currency"] == currency.code()
        };
        for found in self.read.discrepancies.iter().filter(is_otherwise) {
            sums.otherwise.add(minor(found, "found_amount"), 0);
        }
        let arrived = |refund: &&Value, origin: &str| {
            of(refund) && refund["status"] == "succeeded" && refund["origin"] == origin
        };
        let refunds = self.read.refunds.iter();
        for refund in refunds.clone().filter(|r| arrived(r, "request")) {
            sums.refunds.add(minor(refund, "amount"), 0);
        }
        for chargeback in refunds.filter(|r| arrived(r, "chargeback")) {
            sums.chargebacks.add(minor(chargeback, "amount"), 0);
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

/// A run paid what was due, once, however it was started.
fn payout_run(run: &Run, own: Option<&Own>, findings: &mut Findings) {
    let due = own.map(|own| own.due).unwrap_or_default();
    let what = |what: &str| format!("payout run {}, {what}", run.key);
    let counted = run.count("count");
    findings.same(&what("payouts"), &(due.count as i64), &counted);
    findings.same(&what("total"), &due.amount, &run.count("total"));
    let ended = run.count("succeeded") + run.count("failed");
    findings.same(&what("payouts that ended"), &counted, &ended);
    let unexpected = run.codes.iter().filter(|code| ![0, 5].contains(*code));
    findings.same(&what("unexpected exit codes"), &0, &unexpected.count());
}

/// The PSP's export agrees line by line, but for what was paid otherwise, and for what had `returned` and
/// was asked about in between; the same file again is known.
pub(crate) fn reconciliation(
    [first, again]: [&Reconciled; 2],
    returned: i64,
    cleared: &Reconciled,
    compare: &Compare<'_>,
    findings: &mut Findings,
) {
    let number = |of: &Reconciled, name: &str| of.said[name].as_i64().unwrap_or(-1);
    let mut otherwise: Vec<&str> = compare
        .orders
        .iter()
        .filter(|order| {
            let paid = compare.psp.paid.get(&order.reference);
            paid.is_some_and(|(amount, _)| *amount != order.amount)
        })
        .map(|order| order.reference.as_str())
        .collect();
    let mut found: Vec<&str> = compare
        .read
        .discrepancies
        .iter()
        .filter(|found| found["source"] == "reconciliation")
        .map(|found| found["reference"].as_str().unwrap_or_default())
        .collect();
    otherwise.sort_unstable();
    found.sort_unstable();
    findings.same(
        "what reconciliation found",
        &otherwise.join(" "),
        &found.join(" "),
    );
    let lines = number(first, "lines");
    let rest = otherwise.len() as i64;
    findings.same(
        "lines that matched",
        &(lines - rest),
        &(number(first, "matched") + returned),
    );
    let code = |open: i64| if open > 0 { 4 } else { 0 };
    findings.same(
        "exit code of reconcile run",
        &code(rest + returned),
        &first.code,
    );
    findings.same(
        "lines known the second time",
        &lines,
        &number(again, "known"),
    );
    // Nobody resolved any other of it meanwhile.
    findings.same("exit code of the second time", &code(rest), &again.code);
    findings.same("open the second time", &rest, &number(again, "open"));
    for wallet in cleared.said.as_array().into_iter().flatten() {
        let name = format!("unexplained in {} {}", wallet["wallet"], wallet["currency"]);
        let unexplained = wallet["unexplained"].as_i64().unwrap_or(-1);
        findings.same(&name, &0, &unexplained);
    }
}
