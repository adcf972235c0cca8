//! Merchants, and what was agreed with each.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::money::{Currency, share};
use crate::stage::names;

/// What the platform takes of a payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fee {
    pub basis_points: i64,
    pub fixed: i64,
    pub minimum: i64,
    pub cap: Option<i64>,
}

impl Fee {
    /// Of an amount, and never more than that.
    pub(crate) fn of(&self, amount: i64) -> i64 {
        let fee = share(amount, self.basis_points, 10_000) + self.fixed;
        let fee = fee.max(self.minimum).min(self.cap.unwrap_or(i64::MAX));
        fee.min(amount)
    }
}

/// What happens to the fee of money that goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back {
    pub fee_returned: bool,
    pub penalty: i64,
    /// How far below zero it may drive the merchant.
    pub below_zero_max: i64,
}

/// What is held back of settled money.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserve {
    pub basis_points: i64,
    pub days: i64,
}

/// A merchant sells in one currency.
#[derive(Clone, Debug)]
pub(crate) struct Merchant {
    pub name: String,
    pub currency: Currency,
    pub fee: Fee,
    /// The N of T+N.
    pub days: i64,
    pub reserve: Option<Reserve>,
    pub refund: Back,
    pub chargeback: Back,
    /// Paid out every day, or only when somebody says so.
    pub daily: bool,
    pub payout_minimum: i64,
    /// How much of the trade it draws.
    weight: u64,
}

/// The days of all merchants: a time zone, and when the day is over.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Of the tz database; a fixed offset from UTC.
    pub zone: String,
    /// `17:05`, local.
    pub cut_off: String,
}

impl Merchant {
    /// As the API takes it.
    pub(crate) fn request(&self, clock: &Clock, recipient: &str) -> Value {
        let mut fee = json!({
            "basis_points": self.fee.basis_points,
            "fixed": self.fee.fixed,
            "minimum": self.fee.minimum,
        });
        if let Some(cap) = self.fee.cap {
            fee["cap"] = json!(cap);
        }
        let fate = |back: &Back| {
            if back.fee_returned {
                "returned"
            } else {
                "kept"
            }
        };
        let mut terms = json!({
            "fee": fee,
            "settlement": {
                "days": self.days,
                "calendar": "calendar",
                "time_zone": clock.zone,
                "cut_off": clock.cut_off,
            },
            "payout": {
                "minimum": self.payout_minimum,
                "schedule": if self.daily { "daily" } else { "manual" },
                "recipient": recipient,
            },
            "refund": {
                "fee": fate(&self.refund),
                "below_zero_max": self.refund.below_zero_max,
            },
            "chargeback": {
                "fee": fate(&self.chargeback),
                "penalty": self.chargeback.penalty,
                "below_zero_max": self.chargeback.below_zero_max,
            },
        });
        if let Some(reserve) = self.reserve {
            let days = reserve.days;
            terms["reserve"] = json!({"basis_points": reserve.basis_points, "days": days});
        }
        json!({
            "id": self.name,
            "name": self.name.replace('-', " "),
            "currency": self.currency.code(),
            "terms": terms,
        })
    }
}

/// So many merchants, two of three in NGN, each with terms of its own.
pub(crate) fn merchants(count: usize, rng: &mut Rng) -> Vec<Merchant> {
    let names = names::shuffled(rng).into_iter().take(count);
    names
        .enumerate()
        .map(|(rank, name)| merchant(rank, name, rng))
        .collect()
}

fn merchant(rank: usize, name: String, rng: &mut Rng) -> Merchant {
    let currency = match rank % 3 {
        1 => Currency::Ghs,
        _ => Currency::Ngn,
    };
    let naira = currency == Currency::Ngn;
    let fixed = if naira && rng.bool() {
        rng.i64(1..=15_000)
    } else {
        0
    };
    let fee = Fee {
        basis_points: rng.i64(220..=420),
        fixed,
        minimum: if rng.u8(..3) == 0 { rng.i64(1..=50) } else { 0 },
        cap: (naira && rng.u8(..3) == 0).then(|| rng.i64(250_000..=400_000)),
    };
    let some = if naira { 200_000_000 } else { 5_000_000 };
    Merchant {
        name,
        currency,
        fee,
        // One of four has to wait until tomorrow.
        days: i64::from(rank % 4 == 3),
        reserve: (rank % 5 == 2).then(|| Reserve {
            basis_points: rng.i64(100..=1_500),
            days: 30,
        }),
        refund: Back {
            fee_returned: rng.bool(),
            penalty: 0,
            below_zero_max: some,
        },
        chargeback: Back {
            fee_returned: rng.bool(),
            penalty: if rng.bool() { rng.i64(1..=2_000) } else { 0 },
            // With one of three what is beyond zero is owed.
            below_zero_max: if rank.is_multiple_of(3) { 0 } else { some },
        },
        daily: rank % 7 != 6,
        payout_minimum: rng.i64(0..=5_000),
        // A few sell much, most sell little.
        weight: 10_000 / (rank as u64 + 15),
    }
}

/// A merchant's place, drawn by how much each sells.
pub(crate) fn draw(merchants: &[Merchant], rng: &mut Rng) -> usize {
    let all: u64 = merchants.iter().map(|merchant| merchant.weight).sum();
    let mut drawn = rng.u64(..all.max(1));
    for (place, merchant) in merchants.iter().enumerate() {
        match drawn.checked_sub(merchant.weight) {
            Some(rest) => drawn = rest,
            None => return place,
        }
    }
    0
}
