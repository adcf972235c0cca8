//! Draws the day from the seed, phase by phase, and lets the book predict every answer.

mod batches;

use fastrand::Rng;
use time::{Date, OffsetDateTime};

use crate::book::{Book, Posting, Verdict};
use crate::day::{Request, Way, at};
use crate::errands::{Order, payout, under_the_same_key};
use crate::lanes;
use crate::world::World;

const HOUR: u32 = 3_600;

/// What a merchant or its customers do at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Errand {
    Pay,
    Refund,
    TakeOut,
}

type Lanes = Vec<Vec<Request>>;

/// Draws and predicts.
pub(crate) struct Planner<'w> {
    world: &'w World,
    book: Book,
    rng: Rng,
    date: Date,
    connections: usize,
    orders: Vec<Order>,
    payouts: u32,
}

impl<'w> Planner<'w> {
    pub(crate) fn new(
        world: &'w World,
        book: Book,
        rng: Rng,
        date: Date,
        connections: usize,
    ) -> Self {
        Self {
            world,
            book,
            rng,
            date,
            connections,
            orders: Vec::new(),
            payouts: 0,
        }
    }

    pub(crate) fn into_balances(self) -> Vec<i64> {
        self.book.balances
    }

    pub(crate) fn morning(&mut self, orders: u32) -> Lanes {
        let errands = vec![Errand::Pay; orders as usize];
        self.one_by_one(errands, (8 * HOUR, 12 * HOUR))
    }

    pub(crate) fn afternoon(&mut self, orders: u32) -> Lanes {
        let mut errands = vec![Errand::Pay; orders as usize];
        errands.extend(vec![Errand::Refund; orders as usize / 11]);
        errands.extend(vec![Errand::TakeOut; self.world.merchants.len() * 8]);
        self.one_by_one(errands, (13 * HOUR, 18 * HOUR))
    }

    /// Errands at random moments, each for a merchant of its own, with the repeats of clients that
    /// lost their connection and the mistakes of those that use a key again.
    fn one_by_one(&mut self, errands: Vec<Errand>, (from, to): (u32, u32)) -> Lanes {
        let mut drawn: Vec<(u32, usize, Errand)> = errands
            .into_iter()
            .map(|errand| {
                (
                    self.rng.u32(from..to),
                    self.world.draw(&mut self.rng),
                    errand,
                )
            })
            .collect();
        drawn.sort_unstable();
        let merchants = self.world.merchants.len();
        let busy = drawn.iter().map(|&(_, merchant, _)| merchant);
        let lane_of = lanes::share_out(busy, merchants, self.connections);
        let mut lanes = vec![Vec::new(); self.connections];
        for (seconds, merchant, errand) in drawn {
            let Some((way, posting)) = self.errand(errand, merchant, at(self.date, seconds)) else {
                continue;
            };
            let lane = &mut lanes[lane_of[merchant]];
            let first = self.single(way.clone(), posting.clone());
            let posted = first.predicted == [Verdict::Posted];
            lane.push(first);
            if self.rng.u16(..1_000) < 25 {
                lane.push(self.single(way.clone(), posting.clone()));
            }
            if posted && self.rng.u16(..1_000) < 3 {
                lane.push(self.single(way, under_the_same_key(&posting)));
            }
        }
        lanes
    }

    fn errand(&mut self, errand: Errand, n: usize, at: OffsetDateTime) -> Option<(Way, Posting)> {
        let merchant = &self.world.merchants[n];
        let desk = self.world.desk(merchant.currency);
        match errand {
            Errand::Pay => {
                let (least, span) = merchant.currency.order_range();
                // Small ones are more frequent than large ones.
                let gross = least + self.rng.u64(..span) * self.rng.u64(..1_000) / 1_000;
                let order = Order {
                    number: u32::try_from(self.orders.len()).unwrap_or(u32::MAX),
                    merchant: n,
                    gross: i64::try_from(gross).unwrap_or(i64::MAX),
                    settled: false,
                    refunded: false,
                };
                let payment = order.payment(merchant, desk, at);
                self.orders.push(order);
                Some((Way::Transaction, payment))
            }
            Errand::Refund => {
                let mine = |order: &&mut Order| order.merchant == n && !order.refunded;
                let order = self
                    .orders
                    .iter_mut()
                    .rev()
                    .filter(mine)
                    .nth(self.rng.usize(..4))?;
                let refund = order.refund(merchant, desk, at);
                order.refunded = true;
                Some((Way::Transfer, refund))
            }
            Errand::TakeOut => {
                self.payouts += 1;
                let available = self.book.balances[merchant.available];
                let percent = self.rng.i64(20..60);
                let greedy = self.rng.u8(..) < 51;
                let amount = if greedy {
                    available * 2
                } else {
                    available * percent / 100
                };
                let key = format!("payout-{:05}", self.payouts);
                // Whoever has nothing asks all the same.
                Some((
                    Way::Transfer,
                    payout(key, merchant, desk, amount.max(100), at),
                ))
            }
        }
    }

    fn single(&mut self, way: Way, posting: Posting) -> Request {
        Request {
            way,
            predicted: vec![self.book.decide(&posting)],
            postings: vec![posting],
        }
    }
}
