//! What happens, drawn from the seed: orders, what their customers do, who wants money back, who
//! complains.

use fastrand::Rng;

use crate::money::Currency;
use crate::world::{Merchant, draw};

/// What a customer does at the checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Customer {
    Pays,
    /// Pays this amount in place of what was asked for.
    PaysOther(i64),
    /// Tries, and fails.
    Fails,
    GoesAway,
}

/// A payment that a merchant asks for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// As the PSP is to know it, and the idempotency key.
    pub reference: String,
    /// A place in the list of merchants.
    pub merchant: usize,
    pub currency: Currency,
    pub amount: i64,
    pub customer: Customer,
    /// The client asks twice under the same key, as one that lost its connection.
    pub asked_twice: bool,
}

/// When money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// The payment is not settled yet.
    BeforeSettlement,
    /// It is, where it has matured.
    AfterSettlement,
    /// What was settled is paid out.
    AfterPayouts,
}

/// A merchant gives money back.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub order: usize,
    pub amount: i64,
    pub when: When,
    pub key: String,
}

/// A customer complains at his bank.
#[derive(Clone, Debug)]
pub(crate) struct Dispute {
    pub order: usize,
    pub amount: i64,
    pub when: When,
    /// The merchant loses it.
    pub lost: bool,
}

/// The story.
#[derive(Debug)]
pub(crate) struct Story {
    pub orders: Vec<Order>,
    pub refunds: Vec<Refund>,
    pub disputes: Vec<Dispute>,
}

/// The same seed and the same merchants make the same story; `name` keeps its references apart from
/// those of other runs.
pub(crate) fn tell(merchants: &[Merchant], orders: usize, name: &str, rng: &mut Rng) -> Story {
    let orders: Vec<Order> = (0..orders)
        .map(|number| order(merchants, name, number, rng))
        .collect();
    let mut story = Story {
        refunds: Vec::new(),
        disputes: Vec::new(),
        orders,
    };
    for place in 0..story.orders.len() {
        let order = &story.orders[place];
        if order.customer != Customer::Pays {
            continue;
        }
        match rng.u8(..100) {
            0..=8 => give_back(&mut story.refunds, place, order, rng),
            9..=10 => story.disputes.push(Dispute {
                order: place,
                amount: part(order.amount, rng),
                when: at(rng),
                lost: rng.u8(..4) > 0,
            }),
            _ => {}
        }
    }
    story
}

fn order(merchants: &[Merchant], name: &str, number: usize, rng: &mut Rng) -> Order {
    let merchant = draw(merchants, rng);
    let currency = merchants[merchant].currency;
    let amount = currency.order(rng);
    let customer = match rng.u8(..100) {
        0..=91 => Customer::Pays,
        92..=93 => Customer::PaysOther(another(amount, rng)),
        94..=96 => Customer::Fails,
        _ => Customer::GoesAway,
    };
    Order {
        reference: format!("{name}-{number:05}"),
        merchant,
        currency,
        amount,
        customer,
        asked_twice: rng.u8(..25) == 0,
    }
}

/// Less or more than was asked for.
fn another(amount: i64, rng: &mut Rng) -> i64 {
    match rng.bool() && amount > 1 {
        true => rng.i64(1..amount),
        false => amount + rng.i64(1..=amount),
    }
}

/// All of it in one, or a part of it, or a part now and the rest later.
fn give_back(refunds: &mut Vec<Refund>, place: usize, order: &Order, rng: &mut Rng) {
    let (first, when) = (part(order.amount, rng), at(rng));
    refunds.push(Refund {
        order: place,
        amount: first,
        when,
        key: format!("refund-{}", order.reference),
    });
    if first < order.amount && when < When::AfterPayouts && rng.bool() {
        refunds.push(Refund {
            order: place,
            amount: order.amount - first,
            when: When::AfterPayouts,
            key: format!("refund-rest-{}", order.reference),
        });
    }
}

fn part(amount: i64, rng: &mut Rng) -> i64 {
    match rng.bool() {
        true => amount,
        false => rng.i64(1..=amount),
    }
}

fn at(rng: &mut Rng) -> When {
    match rng.u8(..3) {
        0 => When::BeforeSettlement,
        1 => When::AfterSettlement,
        _ => When::AfterPayouts,
    }
}
