//! The day as a plan: every request in the order in which it is sent, each with the answer that
//! the demo's own bookkeeping predicts.
//!
//! Within a phase lanes run at the same time, each one request after the other. All that touches
//! one merchant is in one lane, and the wallets that lanes share only ever grow or have no bound:
//! so what is refused does not depend on which lane is faster, and can be predicted.

use time::{Date, OffsetDateTime, Time};

use crate::book::{Book, Posting, Verdict};
use crate::planner::Planner;
use crate::world::World;

/// How a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `POST …/transactions`: many legs.
    Transaction,
    /// `POST …/transfers`: from one wallet to another.
    Transfer,
    /// `POST …/transfers/batch`.
    Batch { key: String, atomic: bool },
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub way: Way,
    /// One, or those of the batch.
    pub postings: Vec<Posting>,
    /// What is predicted for each.
    pub predicted: Vec<Verdict>,
}

/// A part of the day, which begins when all of the one before is answered.
#[derive(Debug)]
pub(crate) struct Phase {
    pub clock: &'static str,
    pub name: &'static str,
    /// What happens, for a reader who is new to it.
    pub told: &'static str,
    pub lanes: Vec<Vec<Request>>,
    /// Whether aegisd is killed in the middle of it.
    pub power_cut: bool,
}

impl Phase {
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.lanes.iter().flatten()
    }
}

/// What the day is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub seed: u64,
    pub orders: u32,
    pub merchants: usize,
    pub connections: usize,
    pub power_cut: bool,
}

/// The day, and where it must end.
#[derive(Debug)]
pub(crate) struct Day {
    pub phases: Vec<Phase>,
    /// The balances that are predicted for the evening, by wallet.
    pub balances: Vec<i64>,
}

/// The same seed, size and date make the same day.
pub(crate) fn plan(size: Size, date: Date) -> (World, Day) {
    let mut rng = fastrand::Rng::with_seed(size.seed);
    let world = World::new(size.merchants, &mut rng);
    let book = Book::new(&world);
    let mut planner = Planner::new(&world, book, rng, date, size.connections);
    let morning = size.orders * 11 / 20;
    let phases = vec![
        Phase {
            clock: "08:00",
            name: "morning",
            told: "Customers pay. An order is one transaction of three legs: the payment provider \
                   owes the whole,\nthe merchant's pending wallet gets its part, the platform its \
                   fee. Some clients lose their\nconnection and ask again with the same key; a \
                   few use a key again for something else.",
            lanes: planner.morning(morning),
            power_cut: false,
        },
        Phase {
            clock: "12:00",
            name: "settlement",
            told: "What the morning brought is released, order by order, from pending to \
                   available, in batches.\nSome are atomic; the first one of each currency holds \
                   a mistyped amount, is refused as a whole,\nand is sent again, mended, with the \
                   same keys.",
            lanes: planner.settlement(),
            power_cut: false,
        },
        Phase {
            clock: "13:00",
            name: "afternoon",
            told: "Customers pay, some want their money back, and merchants take money out: some \
                   ask for more\nthan there is, which is refused.",
            lanes: planner.afternoon(size.orders - morning),
            power_cut: size.power_cut,
        },
        Phase {
            clock: "18:30",
            name: "release",
            told: "All that is still pending is released, one atomic batch a currency.",
            lanes: planner.release(),
            power_cut: false,
        },
        Phase {
            clock: "22:00",
            name: "payout run",
            told: "Merchants are paid out, one batch a currency; some of the amounts come from \
                   yesterday's list\nand are too high. Then cron starts the same run a second \
                   time: nobody is paid twice.",
            lanes: planner.payout_run(),
            power_cut: false,
        },
        Phase {
            clock: "23:30",
            name: "close",
            told: "Refunds go back through the payment provider, so that their clearing wallet \
                   is at zero again;\nthe platform takes its fees.",
            lanes: planner.close(),
            power_cut: false,
        },
    ];
    let balances = planner.into_balances();
    (world, Day { phases, balances })
}

/// A moment of the day, in seconds after midnight, UTC.
pub(crate) fn at(date: Date, seconds: u32) -> OffsetDateTime {
    let midnight = OffsetDateTime::new_utc(date, Time::MIDNIGHT);
    midnight + time::Duration::seconds(i64::from(seconds))
}
