//! The provider's own books: pure, without a clock and without HTTP. Every movement of money is an
//! entry that sums to zero, so that Aegis's ledger can be held against somebody else's.

mod disputes;
mod fee;
mod journal;
mod payments;
mod record;
mod refunds;
mod refusal;
mod transfers;

use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;

pub use disputes::Resolution;
pub use fee::Fees;
use journal::Journal;
pub use journal::{Account, Entry, EntryKind};
pub use record::{
    DisputeRecord, Happened, PaymentRecord, RecipientRecord, RefundRecord, TransferRecord,
};
pub use refusal::No;

use crate::ledger::Currency;

/// The books of one integration.
#[derive(Debug, Clone)]
pub struct Books {
    fees: Fees,
    journal: Journal,
    /// Paystack numbers its objects; here all of them share one sequence.
    last_id: u64,
    payments: HashMap<String, PaymentRecord>,
    payment_ids: HashMap<u64, String>,
    recipients: BTreeMap<String, RecipientRecord>,
    transfers: HashMap<String, TransferRecord>,
    refunds: BTreeMap<u64, RefundRecord>,
    disputes: BTreeMap<u64, DisputeRecord>,
    happened: Vec<Happened>,
}

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new(fees: Fees) -> Self {
        Self::numbered_after(1_000, fees)
    }

    /// Empty books whose numbers come after `last_id`.
    #[must_use]
    pub fn numbered_after(last_id: u64, fees: Fees) -> Self {
        Self {
            fees,
            journal: Journal::default(),
            last_id,
            payments: HashMap::new(),
            payment_ids: HashMap::new(),
            recipients: BTreeMap::new(),
            transfers: HashMap::new(),
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            happened: Vec::new(),
        }
    }

    /// Puts money of the merchant's own into the balance.
    ///
    /// # Errors
    /// Where it is nothing, or the balance would leave the range of amounts.
    pub fn top_up(
        &mut self,
        amount: i64,
        currency: Currency,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        if amount <= 0 {
            return Err(No::amount());
        }
        let id = self.next_id();
        self.journal.post(Entry {
            id,
            at: now,
            kind: EntryKind::TopUp,
            reference: format!("topup-{id}"),
            currency,
            postings: vec![(Account::TopUps, -amount), (Account::Balance, amount)],
        })
    }

    /// What transfers and refunds can be made from.
    #[must_use]
    pub fn balance(&self, currency: Currency) -> i64 {
        self.journal.balance(Account::Balance, currency)
    }

    /// Every account's balance.
    #[must_use]
    pub fn balances(&self) -> &BTreeMap<(Account, Currency), i64> {
        self.journal.balances()
    }

    /// The sum over all accounts of a currency: zero, or the books are wrong.
    #[must_use]
    pub fn total(&self, currency: Currency) -> i128 {
        let balances = self.journal.balances().iter();
        balances
            .filter(|((_, of), _)| *of == currency)
            .map(|(_, balance)| i128::from(*balance))
            .sum()
    }

    /// All entries, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.journal.entries()
    }

    /// All payments.
    pub fn payments(&self) -> impl Iterator<Item = &PaymentRecord> {
        self.payments.values()
    }

    /// All transfers.
    pub fn transfers(&self) -> impl Iterator<Item = &TransferRecord> {
        self.transfers.values()
    }

    /// All refunds.
    pub fn refunds(&self) -> impl Iterator<Item = &RefundRecord> {
        self.refunds.values()
    }

    /// All disputes.
    pub fn disputes(&self) -> impl Iterator<Item = &DisputeRecord> {
        self.disputes.values()
    }

    /// What happened since this was last asked, and webhooks tell of.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

#[cfg(test)]
mod tests;
