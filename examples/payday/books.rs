//! The demo's own books: a few lines that know nothing of Aegis. What Aegis does in PostgreSQL
//! through timeouts, webhooks in any order and a power cut has to come to the same as this does in a
//! `Vec`.

use std::collections::BTreeMap;

use crate::money::{Currency, share};
use crate::world::{Back, Merchant};

/// The wallets of a merchant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Purses {
    pub pending: i64,
    pub available: i64,
    pub reserve: i64,
    pub owed: i64,
}

/// The wallets of the platform and the world in a currency. What is in transit has arrived by the
/// end of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct House {
    pub fees: i64,
    pub psp_fees: i64,
    pub psp: i64,
}

/// What is known of a payment that was credited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credited {
    pub merchant: usize,
    pub amount: i64,
    pub fee: i64,
    /// Its part of the merchant's pending money.
    pub unsettled: i64,
    pub is_settled: bool,
    pub given_back: i64,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Books<'m> {
    merchants: &'m [Merchant],
    pub purses: Vec<Purses>,
    pub house: BTreeMap<Currency, House>,
    /// By the order's place.
    pub credited: BTreeMap<usize, Credited>,
}

impl<'m> Books<'m> {
    pub(crate) fn new(merchants: &'m [Merchant]) -> Self {
        Self {
            merchants,
            purses: vec![Purses::default(); merchants.len()],
            house: BTreeMap::new(),
            credited: BTreeMap::new(),
        }
    }

    fn house(&mut self, merchant: usize) -> &mut House {
        let currency = self.merchants[merchant].currency;
        self.house.entry(currency).or_default()
    }

    /// A customer paid what was asked for.
    pub(crate) fn pay(&mut self, order: usize, merchant: usize, amount: i64) {
        let of = &self.merchants[merchant];
        let (fee, psp_fee) = (of.fee.of(amount), of.currency.psp_fee_of_payment(amount));
        self.purses[merchant].pending += amount - fee;
        let house = self.house(merchant);
        house.fees += fee;
        house.psp -= amount;
        house.psp_fees -= psp_fee;
        house.psp += psp_fee;
        let credited = Credited {
            merchant,
            amount,
            fee,
            unsettled: amount - fee,
            is_settled: false,
            given_back: 0,
        };
        self.credited.insert(order, credited);
    }

    /// Money arrived at the customer again, as the merchant wished.
    pub(crate) fn refund(&mut self, order: usize, amount: i64) {
        let merchant = self.credited[&order].merchant;
        let terms = self.merchants[merchant].refund;
        self.give_back(order, amount, terms);
    }

    /// Money arrived at the customer again, as his bank wished.
    pub(crate) fn chargeback(&mut self, order: usize, amount: i64) {
        let merchant = self.credited[&order].merchant;
        let terms = self.merchants[merchant].chargeback;
        self.give_back(order, amount, terms);
    }

    fn give_back(&mut self, order: usize, amount: i64, terms: Back) {
        let Some(payment) = self.credited.get_mut(&order) else {
            return;
        };
        // What was given back of the fee so far is always its exact share, rounded once.
        let until = |given_back| share(payment.fee, given_back, payment.amount);
        let of_the_fee = until(payment.given_back + amount) - until(payment.given_back);
        payment.given_back += amount;
        let platform = i64::from(terms.fee_returned) * of_the_fee - terms.penalty;
        let bears = amount - platform;
        let (merchant, is_settled) = (payment.merchant, payment.is_settled);
        // Of pending, other payments' parts are not this one's to take.
        let own = payment.unsettled.max(0);
        let of_merchant = self.credited.values().filter(|it| it.merchant == merchant);
        let lacking: i64 = of_merchant.map(|it| (-it.unsettled).max(0)).sum();
        let own_room = own + (terms.below_zero_max - lacking).max(0);
        let purses = &mut self.purses[merchant];
        let purse = match is_settled {
            true => &mut purses.available,
            false => &mut purses.pending,
        };
        // Down to where the terms say, and what is beyond that is owed.
        let mut possible = (*purse + terms.below_zero_max).max(0).min(bears);
        if !is_settled {
            possible = possible.min(own_room);
        }
        *purse -= possible;
        purses.owed -= bears - possible;
        if let Some(payment) = self.credited.get_mut(&order).filter(|_| !is_settled) {
            payment.unsettled -= possible;
        }
        let house = self.house(merchant);
        house.fees -= platform;
        house.psp += amount;
    }

    /// What these payments of a merchant put into pending matures.
    pub(crate) fn settle(&mut self, merchant: usize, orders: &[usize]) {
        let mut sum = 0;
        for order in orders {
            if let Some(payment) = self.credited.get_mut(order) {
                sum += std::mem::take(&mut payment.unsettled);
                payment.is_settled = true;
            }
        }
        let purses = &mut self.purses[merchant];
        purses.pending -= sum;
        let paid_back = (-purses.owed).min(sum).max(0);
        purses.owed += paid_back;
        let held = match self.merchants[merchant].reserve {
            // A part of all that came in, as far as debts leave anything.
            Some(reserve) => {
                share(sum.max(0), reserve.basis_points, 10_000).min((sum - paid_back).max(0))
            }
            None => 0,
        };
        purses.reserve += held;
        purses.available += sum - paid_back - held;
    }

    /// What a payout run is to send to a merchant, if anything.
    pub(crate) fn payable(&self, merchant: usize) -> Option<i64> {
        let (of, available) = (&self.merchants[merchant], self.purses[merchant].available);
        let is_due = of.daily && available > 0 && available >= of.payout_minimum;
        is_due.then_some(available)
    }

    /// Money arrived at a merchant.
    pub(crate) fn pay_out(&mut self, merchant: usize, amount: i64) {
        let fee = self.merchants[merchant]
            .currency
            .psp_fee_of_transfer(amount);
        self.purses[merchant].available -= amount;
        let house = self.house(merchant);
        house.psp += amount + fee;
        house.psp_fees -= fee;
    }
}
