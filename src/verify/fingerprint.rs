//! Whether sums over groups are all zero, without keeping the groups.
//!
//! Let *s(g)* be the sum over group *g*, and *r(g)* a random number of 128 bits for every group.
//! Only the one sum Σ *s(g)·r(g)* mod 2^128 is kept, to which each row adds its amount times
//! *r(g)*, in any order and on any connection.
//!
//! If all *s(g)* are zero, so is the sum: no false alarm. If some *s(g)* is not, fix all the other
//! random numbers: the sum is zero only where *s(g)·r(g)* hits one certain value. With 2^k the
//! highest power of two in *s(g)*, the product is spread evenly over the multiples of 2^k, so that
//! happens with probability 2^(k-128) at most. *s(g)* is a sum of *n* amounts below 2^63 in
//! magnitude, so k ≤ 63 + log2 *n*: even for a group of 128 entries of the largest amounts a
//! violation goes unseen with a probability of 2^-58 at most, for amounts below 2^40 with 2^-81.
//! No violation is out of reach: over integers mod 2^128 no sum that a table can hold is zero but
//! zero itself, which would not be so modulo a prime.
//!
//! The numbers come from SipHash under keys that are drawn for every run and never leave it, so
//! nobody can prepare a ledger that fools it, and a second run is an independent try.

use std::hash::{BuildHasher, RandomState};

use uuid::Uuid;

/// A function from groups to numbers of 128 bits, drawn at random.
#[derive(Clone, Debug, Default)]
pub(super) struct RandomFunction {
    high: RandomState,
    low: RandomState,
}

impl RandomFunction {
    fn number(&self, transaction_id: Uuid, currency: Option<&str>) -> u128 {
        let group = (transaction_id, currency);
        let (high, low) = (self.high.hash_one(group), self.low.hash_one(group));
        (u128::from(high) << 64) | u128::from(low)
    }
}

/// The two sums of a run, or of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Over entries, by transaction and currency: the amount.
    balance: u128,
    /// By transaction: 1 for each entry, less the number of entries that the transaction says.
    count: u128,
}

impl Sums {
    pub(super) fn merge(&mut self, other: Self) {
        self.balance = self.balance.wrapping_add(other.balance);
        self.count = self.count.wrapping_add(other.count);
    }

    /// Whether every transaction sums to zero in every currency.
    pub(super) fn is_balanced(self) -> bool {
        self.balance == 0
    }

    /// Whether every transaction has as many entries as it says, and every entry a transaction.
    pub(super) fn is_counted(self) -> bool {
        self.count == 0
    }

    pub(super) fn transaction(&mut self, by: &RandomFunction, id: Uuid, entry_count: i16) {
        let entries = signed(i64::from(entry_count));
        let number = by.number(id, None);
        self.count = self.count.wrapping_sub(number.wrapping_mul(entries));
    }
}

/// A number mod 2^128.
fn signed(value: i64) -> u128 {
    i128::from(value).cast_unsigned()
}

/// Adds entries to [`Sums`]. The entries of a transaction mostly lie side by side, so the numbers
/// of the last one are kept.
#[derive(Debug)]
pub(super) struct EntrySums<'f> {
    by: &'f RandomFunction,
    pub sums: Sums,
    transaction_id: Uuid,
    currency: String,
    balance_number: u128,
    count_number: u128,
}

impl<'f> EntrySums<'f> {
    pub(super) fn new(by: &'f RandomFunction) -> Self {
        Self {
            by,
            sums: Sums::default(),
            transaction_id: Uuid::nil(),
            currency: String::new(),
            balance_number: by.number(Uuid::nil(), Some("")),
            count_number: by.number(Uuid::nil(), None),
        }
    }

    #[inline]
    pub(super) fn entry(&mut self, transaction_id: Uuid, currency: &str, amount: i64) {
        if transaction_id != self.transaction_id || currency != self.currency {
            self.turn_to(transaction_id, currency);
        }
        let product = self.balance_number.wrapping_mul(signed(amount));
        self.sums.balance = self.sums.balance.wrapping_add(product);
        self.sums.count = self.sums.count.wrapping_add(self.count_number);
    }

    fn turn_to(&mut self, transaction_id: Uuid, currency: &str) {
        self.transaction_id = transaction_id;
        if currency != self.currency {
            currency.clone_into(&mut self.currency);
        }
        self.balance_number = self.by.number(transaction_id, Some(currency));
        self.count_number = self.by.number(transaction_id, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: usize = 20;

    /// The sums of entries (transaction, currency, amount) and of transactions (id, count).
    fn sums(entries: &[(u128, &str, i64)], transactions: &[(u128, i16)]) -> Sums {
        let by = RandomFunction::default();
        let mut total = Sums::default();
        for part in entries.chunks(2) {
            let mut sums = EntrySums::new(&by);
            for (id, currency, amount) in part {
                sums.entry(Uuid::from_u128(*id), currency, *amount);
            }
            total.merge(sums.sums);
        }
        for (id, count) in transactions {
            total.transaction(&by, Uuid::from_u128(*id), *count);
        }
        total
    }

    #[test]
    fn balanced_transactions_sum_to_zero_in_any_order() {
        let entries = [
            (1, "NGN", 5),
            (2, "NGN", i64::MIN),
            (1, "USD", -7),
            (2, "NGN", i64::MAX),
            (1, "NGN", -5),
            (2, "NGN", 1),
            (1, "USD", 7),
        ];
        for _ in 0..RUNS {
            let sums = sums(&entries, &[(1, 4), (2, 3)]);
            assert!(sums.is_balanced() && sums.is_counted());
        }
    }

    #[test]
    fn transactions_that_make_up_for_each_other_are_seen() {
        for entries in [
            vec![(1, "NGN", 5), (2, "NGN", -5)],
            vec![(1, "NGN", 5), (1, "USD", -5)],
            vec![(1, "NGN", i64::MIN)],
            vec![(1, "NGN", i64::MIN); 64],
            vec![(0, "", 1)],
        ] {
            for _ in 0..RUNS {
                assert!(!sums(&entries, &[]).is_balanced(), "{entries:?}");
            }
        }
    }

    #[test]
    fn entries_and_transactions_that_don_t_match_are_seen() {
        let entries = [(1, "NGN", 5), (1, "NGN", -5)];
        for transactions in [vec![], vec![(1, 1)], vec![(1, 2), (2, 1)], vec![(2, 2)]] {
            for _ in 0..RUNS {
                assert!(!sums(&entries, &transactions).is_counted());
            }
        }
    }
}
