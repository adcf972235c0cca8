//! What people want of the ledger on this day, each as a posting: pay, settle, refund, pay out.

use time::OffsetDateTime;

use crate::book::Posting;
use crate::money::Currency;
use crate::world::{Desk, Merchant, WalletId};

/// An order that a customer paid for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub number: u32,
    /// The merchant's place in the world.
    pub merchant: usize,
    pub gross: i64,
    pub settled: bool,
    pub refunded: bool,
}

impl Order {
    fn reference(&self) -> String {
        format!("order-{:06}", self.number)
    }

    /// What the merchant gets of it.
    pub(crate) fn net(&self, currency: Currency) -> i64 {
        self.gross - currency.fee(self.gross)
    }

    /// The customer pays: one transaction of three legs. The payment provider owes us the whole,
    /// the merchant gets its part, the platform its fee, or nothing of it happens.
    pub(crate) fn payment(&self, merchant: &Merchant, desk: Desk, at: OffsetDateTime) -> Posting {
        let net = self.net(merchant.currency);
        Posting {
            key: format!("pay-{:06}", self.number),
            reference: self.reference(),
            at,
            currency: merchant.currency,
            legs: vec![
                (desk.psp, -self.gross),
                (merchant.pending, net),
                (desk.fees, self.gross - net),
            ],
        }
    }

    /// The money has matured: from pending to available.
    pub(crate) fn settlement(&self, merchant: &Merchant, at: OffsetDateTime) -> Posting {
        transfer(
            format!("settle-{:06}", self.number),
            self.reference(),
            at,
            merchant.currency,
            (merchant.pending, merchant.available),
            self.net(merchant.currency),
        )
    }

    /// The customer gets all of it back from the merchant; the platform keeps its fee.
    pub(crate) fn refund(&self, merchant: &Merchant, desk: Desk, at: OffsetDateTime) -> Posting {
        transfer(
            format!("refund-{:06}", self.number),
            self.reference(),
            at,
            merchant.currency,
            (merchant.pending, desk.refunds),
            self.gross,
        )
    }
}

/// A merchant takes money out.
pub(crate) fn payout(
    key: String,
    merchant: &Merchant,
    desk: Desk,
    amount: i64,
    at: OffsetDateTime,
) -> Posting {
    let wallets = (merchant.available, desk.bank);
    let reference = format!("{}'s payout", merchant.name);
    transfer(key, reference, at, merchant.currency, wallets, amount)
}

/// Money from one wallet to another.
pub(crate) fn transfer(
    key: String,
    reference: String,
    at: OffsetDateTime,
    currency: Currency,
    (from, to): (WalletId, WalletId),
    amount: i64,
) -> Posting {
    Posting {
        key,
        reference,
        at,
        currency,
        legs: vec![(from, -amount), (to, amount)],
    }
}

/// A careless client's second request: the same key, for another amount.
pub(crate) fn under_the_same_key(posting: &Posting) -> Posting {
    let mut other = posting.clone();
    if let Some((_, given)) = other.legs.first_mut() {
        *given -= 1;
    }
    if let Some((_, taken)) = other.legs.last_mut() {
        *taken += 1;
    }
    other
}
