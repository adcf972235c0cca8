//! What is done in batches: settlement, release, the payout run; and the close of the day.

use crate::book::Posting;
use crate::day::{Request, Way, at};
use crate::errands::{Order, payout, transfer};
use crate::money::Currency;

use super::{HOUR, Lanes, Planner};

/// Transfers in one batch of the settlement.
const BATCH: usize = 400;

impl Planner<'_> {
    /// From pending to available, all orders of a currency in one lane of batches.
    pub(crate) fn settlement(&mut self) -> Lanes {
        let mut lanes = Lanes::new();
        for currency in Currency::ALL {
            let mut lane = Vec::new();
            let due = self.due(currency);
            for (n, chunk) in due.chunks(BATCH).enumerate() {
                if n == 0 {
                    let mistyped = self.with_a_mistyped_amount(chunk);
                    lane.push(self.batch(
                        format!("settle-{}-typo", currency.code()),
                        true,
                        mistyped,
                    ));
                }
                let key = format!("settle-{}-{n}", currency.code());
                lane.push(self.batch(key, n % 3 == 0, chunk.to_vec()));
            }
            lanes.push(lane);
        }
        lanes
    }

    /// What is pending after the refunds, as one transfer a merchant.
    pub(crate) fn release(&mut self) -> Lanes {
        let at = at(self.date, 18 * HOUR + HOUR / 2);
        let mut lanes = Lanes::new();
        for currency in Currency::ALL {
            let pending: Vec<Posting> = self
                .world
                .merchants
                .iter()
                .filter(|merchant| merchant.currency == currency)
                .map(|merchant| (merchant, self.book.balances[merchant.pending]))
                .filter(|&(_, amount)| amount > 0)
                .map(|(merchant, amount)| {
                    let key = format!("release-{}", merchant.name);
                    let reference = format!("{}'s evening", merchant.name);
                    let wallets = (merchant.pending, merchant.available);
                    transfer(key, reference, at, currency, wallets, amount)
                })
                .collect();
            lanes.push(self.batches(format!("release-{}", currency.code()), true, pending));
        }
        lanes
    }

    /// The same batch twice, as from a cron job that was started twice.
    pub(crate) fn payout_run(&mut self) -> Lanes {
        let at = at(self.date, 22 * HOUR);
        let mut lanes = Lanes::new();
        for currency in Currency::ALL {
            let mut run = Vec::new();
            for merchant in &self.world.merchants {
                let available = self.book.balances[merchant.available];
                if merchant.currency != currency || available == 0 {
                    continue;
                }
                let too_high = self.rng.u8(..) < 26;
                let amount = if too_high {
                    available + available / 5 + 1
                } else {
                    available
                };
                let key = format!("payout-run-{}", merchant.name);
                run.push(payout(key, merchant, self.world.desk(currency), amount, at));
            }
            let key = format!("payout-run-{}", currency.code());
            let mut lane = self.batches(key.clone(), false, run.clone());
            lane.extend(self.batches(key, false, run));
            lanes.push(lane);
        }
        lanes
    }

    /// The clearing wallet of the refunds and the platform's fees, in each currency.
    pub(crate) fn close(&mut self) -> Lanes {
        let at = at(self.date, 23 * HOUR + HOUR / 2);
        let mut lanes = Lanes::new();
        for currency in Currency::ALL {
            let desk = self.world.desk(currency);
            let mut lane = Vec::new();
            for (what, wallets) in [
                ("refunds", (desk.refunds, desk.psp)),
                ("fees", (desk.fees, desk.bank)),
            ] {
                let amount = self.book.balances[wallets.0];
                if amount > 0 {
                    let key = format!("close-{what}-{}", currency.code());
                    let posting = transfer(
                        key,
                        format!("the day's {what}"),
                        at,
                        currency,
                        wallets,
                        amount,
                    );
                    lane.push(self.single(Way::Transfer, posting));
                }
            }
            lanes.push(lane);
        }
        lanes
    }

    /// The orders of a currency that are not settled yet, merchant by merchant.
    fn due(&mut self, currency: Currency) -> Vec<Posting> {
        let at = at(self.date, 12 * HOUR);
        let merchants = &self.world.merchants;
        let mut due: Vec<&mut Order> = self
            .orders
            .iter_mut()
            .filter(|order| !order.settled && merchants[order.merchant].currency == currency)
            .collect();
        due.sort_by_key(|order| order.merchant);
        due.into_iter()
            .map(|order| {
                order.settled = true;
                order.settlement(&merchants[order.merchant], at)
            })
            .collect()
    }

    /// Somewhere in the middle an amount ten times as high as all that the merchant has.
    fn with_a_mistyped_amount(&mut self, postings: &[Posting]) -> Vec<Posting> {
        let mut mistyped = postings.to_vec();
        let place = self.rng.usize(..postings.len());
        if let [(from, given), (_, taken)] = mistyped[place].legs.as_mut_slice() {
            *taken = self.book.balances[*from] * 10;
            *given = -*taken;
        }
        mistyped
    }

    fn batch(&mut self, key: String, atomic: bool, postings: Vec<Posting>) -> Request {
        let predicted = if atomic {
            self.book.decide_all_or_none(&postings)
        } else {
            postings
                .iter()
                .map(|posting| self.book.decide(posting))
                .collect()
        };
        Request {
            way: Way::Batch { key, atomic },
            postings,
            predicted,
        }
    }

    /// A batch, or nothing where there is nothing to do.
    fn batches(&mut self, key: String, atomic: bool, postings: Vec<Posting>) -> Vec<Request> {
        if postings.is_empty() {
            return Vec::new();
        }
        vec![self.batch(key, atomic, postings)]
    }
}
