//! Double entry.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::No;
use crate::ledger::Currency;

/// Who holds money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// The customers and their banks: the outside world.
    Customers,
    /// Where the merchant tops its balance up from: the outside world.
    TopUps,
    /// The merchant's balance at the provider.
    Balance,
    /// What the provider keeps.
    Fees,
    /// Transfers on their way.
    TransfersInTransit,
    /// Refunds on their way.
    RefundsInTransit,
    /// Who transfers went to: the outside world.
    Recipients,
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The merchant's own money came in.
    TopUp,
    /// A customer paid.
    Payment,
    /// A transfer left the balance.
    Transfer,
    /// A transfer arrived.
    TransferSuccess,
    /// A transfer failed or came back.
    TransferReturn,
    /// A refund left the balance.
    Refund,
    /// A refund arrived.
    RefundProcessed,
    /// A refund failed.
    RefundReturn,
    /// A dispute was lost.
    Chargeback,
}

impl EntryKind {
    /// As in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Payment => "payment",
            Self::Transfer => "transfer",
            Self::TransferSuccess => "transfer_success",
            Self::TransferReturn => "transfer_return",
            Self::Refund => "refund",
            Self::RefundProcessed => "refund_processed",
            Self::RefundReturn => "refund_return",
            Self::Chargeback => "chargeback",
        }
    }
}

/// One movement of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The object's id.
    pub id: u64,
    /// When.
    pub at: OffsetDateTime,
    /// Why.
    pub kind: EntryKind,
    /// The caller's name of the payment or transfer.
    pub reference: String,
    /// In which currency.
    pub currency: Currency,
    /// Who got how much; negative: gave. They sum to zero.
    pub postings: Vec<(Account, i64)>,
}

impl Entry {
    /// What it did to one account.
    #[must_use]
    pub fn change_of(&self, account: Account) -> i64 {
        let of_it = self.postings.iter().filter(|(of, _)| *of == account);
        of_it.fold(0, |sum, (_, change)| sum.saturating_add(*change))
    }
}

/// All entries, and the balances that they sum to.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    entries: Vec<Entry>,
    balances: BTreeMap<(Account, Currency), i64>,
}

impl Journal {
    /// Writes an entry, or nothing.
    pub(super) fn post(&mut self, entry: Entry) -> Result<(), No> {
        let sum: i128 = entry.postings.iter().map(|(_, c)| i128::from(*c)).sum();
        if sum != 0 {
            return Err(No::amount_out_of_range());
        }
        let mut after = Vec::with_capacity(entry.postings.len());
        for (account, change) in &entry.postings {
            let balance = self.balance(*account, entry.currency);
            let balance = balance.checked_add(*change);
            after.push((*account, balance.ok_or_else(No::amount_out_of_range)?));
        }
        for (account, balance) in after {
            self.balances.insert((account, entry.currency), balance);
        }
        self.entries.push(entry);
        Ok(())
    }

    pub(super) fn balance(&self, account: Account, currency: Currency) -> i64 {
        let balance = self.balances.get(&(account, currency));
        balance.copied().unwrap_or_default()
    }

    pub(super) fn balances(&self) -> &BTreeMap<(Account, Currency), i64> {
        &self.balances
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
