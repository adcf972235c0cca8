//! Balance decisions: commands applied in order to the wallets that a batch has in hand.

use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;
use uuid::Uuid;

use super::transaction::same_wallet;
use super::{
    Address, ChainLink, Currency, Hash, Leg, Rejection, RejectionCode, Transaction, WalletRef,
};

/// Whether a wallet takes part in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WalletStatus {
    /// Takes part.
    Active,
    /// Takes part in nothing.
    Frozen,
}

impl WalletStatus {
    /// The name in the schema and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Frozen]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A wallet's state: an account of one currency in one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// UUIDv7, never used again.
    pub id: Uuid,
    /// Its name, unique in the ledger together with the currency.
    pub address: Address,
    /// The one currency that it holds.
    pub currency: Currency,
    /// Sum of all its entries, minor units.
    pub balance: i64,
    /// The part of the balance that holds reserve, minor units, never negative.
    pub held: i64,
    /// How many entries it has.
    pub version: i64,
    /// Hash of its last entry.
    pub head_hash: Hash,
    /// What `balance - held` may not fall below, minor units; `None` for the outside world.
    pub min_balance: Option<i64>,
    /// Whether it takes part in transactions.
    pub status: WalletStatus,
    /// When its last entry was recorded, UTC.
    pub updated_at: OffsetDateTime,
}

impl Wallet {
    /// What may still leave the wallet down to a balance of zero: balance less holds.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.balance.saturating_sub(self.held)
    }
}

/// A movement to write: one leg with what it did to its wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The hashed fields.
    pub link: ChainLink,
    /// The wallet's address.
    pub address: Address,
    /// Hash of this entry over the one before it.
    pub hash: Hash,
    /// Whether the wallet has a minimum balance, which the outside world has not.
    pub bounded: bool,
}

/// The wallets that a batch has in hand, and what its commands did to them so far.
#[derive(Debug, Default)]
pub struct Book {
    slots: Vec<Slot>,
    by_address: HashMap<(Address, Currency), usize>,
    by_id: HashMap<Uuid, usize>,
    elsewhere: HashSet<Address>,
    undo: Vec<(usize, Wallet)>,
}

#[derive(Debug)]
struct Slot {
    wallet: Wallet,
    version_read: i64,
}

/// A point to which a [`Book`] can be taken back.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Book {
    /// A book of the wallets that were read. `elsewhere` names addresses that exist, though not in
    /// the currency that was asked for.
    #[must_use]
    pub fn new(wallets: Vec<Wallet>, elsewhere: HashSet<Address>) -> Self {
        let mut book = Self {
            elsewhere,
            ..Self::default()
        };
        for (n, wallet) in wallets.into_iter().enumerate() {
            book.by_address
                .insert((wallet.address.clone(), wallet.currency), n);
            book.by_id.insert(wallet.id, n);
            book.slots.push(Slot {
                version_read: wallet.version,
                wallet,
            });
        }
        book
    }

    /// Decides one transaction: its entries in the order of its legs, applied to the book; or the
    /// first rule it breaks, and the book as it was.
    ///
    /// # Errors
    /// In this order: `wallet_not_found`, `currency_mismatch`, `same_wallet` (an address and an id
    /// that name one wallet), `wallet_frozen`, `insufficient_funds`, `balance_overflow`.
    pub fn post(&mut self, transaction: &Transaction, id: Uuid) -> Result<Vec<Entry>, Rejection> {
        let slots = self.resolve(transaction.legs())?;
        let balances = self.decide(transaction.legs(), &slots)?;
        let mut entries = Vec::with_capacity(slots.len());
        for ((leg, slot), balance_after) in transaction.legs().iter().zip(slots).zip(balances) {
            entries.extend(self.apply(leg, slot, balance_after, id));
        }
        Ok(entries)
    }

    fn resolve(&self, legs: &[Leg]) -> Result<Vec<usize>, Rejection> {
        let found: Vec<Option<usize>> = legs.iter().map(|leg| self.find(leg)).collect();
        for (leg, slot) in legs.iter().zip(&found) {
            let known_elsewhere = match &leg.wallet {
                WalletRef::Address(address) => self.elsewhere.contains(address),
                WalletRef::Id(_) => false,
            };
            if slot.is_none() && !known_elsewhere {
                return Err(Rejection::new(
                    RejectionCode::WalletNotFound,
                    format!(
                        "no wallet {} in {} in this ledger; create it first",
                        leg.wallet, leg.currency
                    ),
                ));
            }
        }
        let mut slots = Vec::with_capacity(legs.len());
        for (leg, slot) in legs.iter().zip(found) {
            let wallet = slot.and_then(|n| self.slots.get(n).map(|slot| (n, &slot.wallet)));
            match wallet {
                Some((n, wallet)) if wallet.currency == leg.currency => slots.push(n),
                _ => {
                    return Err(Rejection::new(
                        RejectionCode::CurrencyMismatch,
                        format!("wallet {} is not a wallet in {}", leg.wallet, leg.currency),
                    ));
                }
            }
        }
        let mut seen = HashSet::with_capacity(slots.len());
        for (leg, slot) in legs.iter().zip(&slots) {
            if !seen.insert(slot) {
                return Err(same_wallet(&leg.wallet));
            }
        }
        Ok(slots)
    }

    fn find(&self, leg: &Leg) -> Option<usize> {
        match &leg.wallet {
            WalletRef::Address(address) => self
                .by_address
                .get(&(address.clone(), leg.currency))
                .copied(),
            WalletRef::Id(id) => self.by_id.get(id).copied(),
        }
    }

    /// The balance of each leg's wallet after the leg.
    fn decide(&self, legs: &[Leg], slots: &[usize]) -> Result<Vec<i64>, Rejection> {
        let wallets: Vec<&Wallet> = slots
            .iter()
            .filter_map(|n| self.slots.get(*n))
            .map(|slot| &slot.wallet)
            .collect();
        if let Some(wallet) = wallets.iter().find(|w| w.status == WalletStatus::Frozen) {
            return Err(Rejection::new(
                RejectionCode::WalletFrozen,
                format!("wallet {} in {} is frozen", wallet.address, wallet.currency),
            ));
        }
        for (leg, wallet) in legs.iter().zip(&wallets) {
            check_funds(leg, wallet)?;
        }
        legs.iter()
            .zip(&wallets)
            .map(|(leg, wallet)| {
                wallet.balance.checked_add(leg.amount).ok_or_else(|| {
                    Rejection::new(
                        RejectionCode::BalanceOverflow,
                        format!(
                            "wallet {} in {} holds {} minor units; {} more leave the range of 64 bits",
                            wallet.address, wallet.currency, wallet.balance, leg.amount
                        ),
                    )
                })
            })
            .collect()
    }

    fn apply(&mut self, leg: &Leg, slot: usize, balance_after: i64, id: Uuid) -> Option<Entry> {
        let wallet = &mut self.slots.get_mut(slot)?.wallet;
        self.undo.push((slot, wallet.clone()));
        let link = ChainLink {
            wallet_id: wallet.id,
            // One a transaction: 64 bits don't run out.
            version: wallet.version.saturating_add(1),
            transaction_id: id,
            currency: wallet.currency,
            amount: leg.amount,
            balance_after,
        };
        let hash = link.hash(&wallet.head_hash);
        wallet.balance = balance_after;
        wallet.version = link.version;
        wallet.head_hash = hash;
        let bounded = wallet.min_balance.is_some();
        Some(Entry {
            link,
            address: wallet.address.clone(),
            hash,
            bounded,
        })
    }

    /// Where the book stands now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    /// Takes back all that was posted since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        while self.undo.len() > mark.0 {
            if let Some((n, before)) = self.undo.pop()
                && let Some(slot) = self.slots.get_mut(n)
            {
                slot.wallet = before;
            }
        }
    }

    /// The wallets that were changed, in order of id.
    #[must_use]
    pub fn changed(&self) -> Vec<&Wallet> {
        let mut changed: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| slot.wallet.version != slot.version_read)
            .map(|slot| &slot.wallet)
            .collect();
        changed.sort_unstable_by_key(|wallet| wallet.id);
        changed
    }

    /// The latest time at which any of the wallets was written, so that time never runs backwards
    /// along a wallet's entries.
    #[must_use]
    pub fn latest_update(&self) -> Option<OffsetDateTime> {
        self.slots.iter().map(|slot| slot.wallet.updated_at).max()
    }
}

fn check_funds(leg: &Leg, wallet: &Wallet) -> Result<(), Rejection> {
    let Some(min_balance) = wallet.min_balance else {
        return Ok(());
    };
    if leg.amount >= 0 {
        return Ok(());
    }
    let after = i128::from(wallet.balance)
        .saturating_add(i128::from(leg.amount))
        .saturating_sub(i128::from(wallet.held));
    if after >= i128::from(min_balance) {
        return Ok(());
    }
    Err(Rejection::new(
        RejectionCode::InsufficientFunds,
        format!(
            "wallet {} has {} {} available and may not fall below {}; {} were asked for",
            wallet.address,
            wallet.currency,
            wallet.currency.format_minor(wallet.available()),
            wallet.currency.format_minor(min_balance),
            wallet.currency.format_minor(leg.amount.saturating_neg()),
        ),
    ))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use crate::ledger::LegDraft;

    fn wallet(n: u128, address: &str, currency: &str, balance: i64, min: Option<i64>) -> Wallet {
        Wallet {
            id: Uuid::from_u128(n),
            address: address.parse().unwrap(),
            currency: Currency::from_code(currency).unwrap(),
            balance,
            held: 0,
            version: 0,
            head_hash: [0; 32],
            min_balance: min,
            status: WalletStatus::Active,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn book() -> Book {
        let mut frozen = wallet(4, "frozen", "NGN", 10, Some(0));
        frozen.status = WalletStatus::Frozen;
        let mut held = wallet(5, "held", "NGN", 100, Some(0));
        held.held = 60;
        Book::new(
            vec![
                wallet(1, "world", "NGN", 0, None),
                wallet(2, "shop", "NGN", 50, Some(0)),
                wallet(3, "full", "NGN", i64::MAX, None),
                frozen,
                held,
                wallet(6, "dollars", "USD", 0, None),
            ],
            HashSet::from(["dollars".parse().unwrap()]),
        )
    }

    fn transfer(from: &str, to: &str, amount: i64) -> Transaction {
        let leg = |wallet: &str, amount| LegDraft {
            wallet: wallet.parse().unwrap(),
            currency: "NGN".to_owned(),
            amount,
        };
        Transaction::new(&[leg(from, -amount), leg(to, amount)]).unwrap()
    }

    fn code(from: &str, to: &str, amount: i64) -> Option<RejectionCode> {
        let mut book = book();
        let code = book
            .post(&transfer(from, to, amount), Uuid::nil())
            .err()
            .map(|r| r.code);
        assert_eq!(
            book.changed().is_empty(),
            code.is_some(),
            "a rejection leaves no trace"
        );
        code
    }

    #[test]
    fn each_rule_on_balances_has_its_code() {
        use RejectionCode as R;
        assert_eq!(code("world", "shop", 5), None);
        assert_eq!(code("shop", "world", 50), None);
        assert_eq!(code("shop", "nobody", 1), Some(R::WalletNotFound));
        assert_eq!(
            code("00000000-0000-0000-0000-0000000000ff", "shop", 1),
            Some(R::WalletNotFound)
        );
        assert_eq!(code("shop", "dollars", 1), Some(R::CurrencyMismatch));
        assert_eq!(
            code("00000000-0000-0000-0000-000000000006", "shop", 1),
            Some(R::CurrencyMismatch)
        );
        assert_eq!(
            code("00000000-0000-0000-0000-000000000002", "shop", 1),
            Some(R::SameWallet)
        );
        assert_eq!(code("world", "frozen", 1), Some(R::WalletFrozen));
        assert_eq!(code("shop", "world", 51), Some(R::InsufficientFunds));
        assert_eq!(code("held", "world", 41), Some(R::InsufficientFunds));
        assert_eq!(code("held", "world", 40), None);
        assert_eq!(code("world", "full", 1), Some(R::BalanceOverflow));
    }

    #[test]
    fn entries_chain_onto_each_other_and_carry_the_balance() {
        let mut book = book();
        let first = book
            .post(&transfer("world", "shop", 7), Uuid::from_u128(1))
            .unwrap();
        let second = book
            .post(&transfer("shop", "world", 57), Uuid::from_u128(2))
            .unwrap();
        assert_eq!(
            (first[1].link.version, first[1].link.balance_after),
            (1, 57)
        );
        assert_eq!(
            (second[0].link.version, second[0].link.balance_after),
            (2, 0)
        );
        assert_eq!(second[0].hash, second[0].link.hash(&first[1].hash));
    }

    #[test]
    fn a_rollback_takes_the_book_back_to_its_mark() {
        let mut book = book();
        book.post(&transfer("world", "shop", 7), Uuid::nil())
            .unwrap();
        let before = format!("{:?}", book.slots);
        let mark = book.mark();
        book.post(&transfer("shop", "world", 3), Uuid::nil())
            .unwrap();
        book.post(&transfer("shop", "world", 3), Uuid::nil())
            .unwrap();
        book.rollback(mark);
        assert_eq!(format!("{:?}", book.slots), before);
    }
}
