//! A list of payouts, before and after it is frozen. Pure.
//!
//! Its hash is SHA-256 over one line an item, `<number>,<merchant>,<currency>,<minor>,<reference>`
//! and a line feed, so that it says who is paid how much in which order, and not how a file was
//! written.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use time::Date;

use super::Refusal;
use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::payout_runs::Source;
use crate::postgres::payout_runs::items::NewItem;

/// The most items that a run may have.
pub const ITEMS_MAX: usize = 100_000;

/// A payout as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who is paid.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// How much, minor units.
    pub amount: i64,
    /// The caller's name for it.
    pub reference: Option<String>,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProblem {
    /// Which one, from 0.
    pub index: usize,
    /// Which part of it.
    pub field: &'static str,
    /// Stable, for programs.
    pub code: &'static str,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

/// Payouts in one currency, counted, summed up and hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    source: Source,
    currency: Currency,
    items: Vec<NewItem>,
    count: i32,
    total: i64,
    hash: [u8; 32],
}

impl List {
    /// The list that somebody wrote.
    ///
    /// The same merchant may stand in it several times where each of its entries has a reference of
    /// its own: without one, a line that was copied by mistake could not be told from a second
    /// payout.
    ///
    /// # Errors
    /// All problems of the entries.
    pub fn written(entries: &[Entry]) -> Result<Self, Vec<EntryProblem>> {
        let mut problems = Vec::new();
        let whole = |code, problem: String| EntryProblem {
            index: 0,
            field: "merchant",
            code,
            problem,
        };
        let Some(first) = entries.first() else {
            let problem = "there is nobody to pay: the list is empty".to_owned();
            return Err(vec![whole("list_empty", problem)]);
        };
        let mut of_merchant: HashMap<&MerchantId, Vec<(usize, Option<&str>)>> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            problems.extend(alone(index, entry, first.currency));
            let before = of_merchant.entry(&entry.merchant).or_default();
            problems.extend(repeated(index, entry, before));
            before.push((index, entry.reference.as_deref()));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let items = entries.iter().map(|entry| NewItem {
            merchant: entry.merchant.clone(),
            amount: entry.amount,
            reference: entry.reference.clone(),
            due_on: None,
        });
        Self::new(Source::List, first.currency, items.collect())
            .map_err(|refusal| vec![whole(refusal.code, refusal.detail)])
    }

    /// The list of what is due: who, how much and for which day, each merchant once.
    ///
    /// # Errors
    /// Nobody, too many, or a sum that is beyond 64 bits.
    pub(super) fn due(
        currency: Currency,
        due: impl Iterator<Item = (MerchantId, i64, Date)>,
    ) -> Result<Self, Refusal> {
        let items = due.map(|(merchant, amount, day)| NewItem {
            merchant,
            amount,
            reference: None,
            due_on: Some(day),
        });
        Self::new(Source::Due, currency, items.collect())
    }

    fn new(source: Source, currency: Currency, items: Vec<NewItem>) -> Result<Self, Refusal> {
        let count = i32::try_from(items.len()).unwrap_or(i32::MAX);
        if items.is_empty() || items.len() > ITEMS_MAX {
            let detail = format!("a run has 1 to {ITEMS_MAX} items, not {}", items.len());
            return Err(Refusal::new("list_too_long", detail));
        }
        let total = items
            .iter()
            .try_fold(0_i64, |sum, item| sum.checked_add(item.amount));
        let total = total.ok_or_else(|| {
            let detail = "the sum of the list is beyond 64 bits: split it into several runs";
            Refusal::new("amount_too_large", detail)
        })?;
        let hash = hash(currency, &items);
        Ok(Self {
            source,
            currency,
            items,
            count,
            total,
            hash,
        })
    }

    /// Who made it.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Of all its items.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// In order; their numbers count from 1.
    #[must_use]
    pub fn items(&self) -> &[NewItem] {
        &self.items
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Their sum, minor units.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.total
    }

    /// Over its lines.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

fn hash(currency: Currency, items: &[NewItem]) -> [u8; 32] {
    let mut sha = Sha256::new();
    let mut line = String::new();
    for (n, item) in items.iter().enumerate() {
        line.clear();
        let (number, amount) = (n.saturating_add(1), item.amount);
        let reference = item.reference.as_deref().unwrap_or_default();
        // Writing to a string does not fail.
        let merchant = &item.merchant;
        let _ = writeln!(line, "{number},{merchant},{currency},{amount},{reference}");
        sha.update(line.as_bytes());
    }
    sha.finalize().into()
}

/// What is wrong with an entry by itself, in a list of this currency.
fn alone(index: usize, entry: &Entry, currency: Currency) -> Vec<EntryProblem> {
    let mut problems = Vec::new();
    let mut wrong = |field, code, problem| {
        problems.push(EntryProblem {
            index,
            field,
            code,
            problem,
        });
    };
    if entry.amount <= 0 {
        let problem = format!("is {}: a payout is of 1 minor unit or more", entry.amount);
        wrong("amount", "amount_not_positive", problem);
    }
    if entry.currency != currency {
        let problem = format!(
            "is {}, and the list begins in {currency}: a run has one currency; make a list and a \
             run for each",
            entry.currency
        );
        wrong("currency", "currency_mismatch", problem);
    }
    if let Some(reference) = &entry.reference {
        let fits =
            (1..=255).contains(&reference.chars().count()) && !reference.contains(char::is_control);
        if !fits {
            let problem = "is not 1 to 255 printable characters".to_owned();
            wrong("reference", "field_invalid", problem);
        }
    }
    problems
}

/// Whether the merchant stood before in a way that this entry may repeat by mistake.
fn repeated(index: usize, entry: &Entry, before: &[(usize, Option<&str>)]) -> Option<EntryProblem> {
    let reference = entry.reference.as_deref();
    let like = before
        .iter()
        .find(|(_, theirs)| theirs.is_none() || reference.is_none() || *theirs == reference)?;
    Some(EntryProblem {
        index,
        field: "merchant",
        code: "merchant_repeated",
        problem: format!(
            "{} stands in item {} already: add the two up, or give each a reference of its own",
            entry.merchant,
            like.0.saturating_add(1)
        ),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn entry(merchant: &str, currency: &str, amount: i64, reference: Option<&str>) -> Entry {
        Entry {
            merchant: merchant.parse().unwrap(),
            currency: Currency::from_code(currency).unwrap(),
            amount,
            reference: reference.map(str::to_owned),
        }
    }

    #[test]
    fn the_hash_is_over_canonical_lines() {
        let entries = [
            entry("acme", "NGN", 125_000, None),
            entry("bolt", "NGN", 7, Some("inv, 1")),
        ];
        let list = List::written(&entries).unwrap();
        let lines = "1,acme,NGN,125000,\n2,bolt,NGN,7,inv, 1\n";
        let expected: [u8; 32] = Sha256::digest(lines).into();
        assert_eq!(list.hash(), &expected);
        assert_eq!((list.count(), list.total()), (2, 125_007));
        let [first, second] = entries;
        let turned = List::written(&[second, first]).unwrap();
        assert_ne!(turned.hash(), list.hash(), "the order is part of it");
    }

    #[test]
    fn every_problem_of_a_list_is_named() {
        let entries = [
            entry("acme", "NGN", 100, None),
            entry("bolt", "KES", 0, None),
            entry("acme", "NGN", 100, Some("second")),
            entry("cola", "NGN", -5, Some("\n")),
        ];
        let problems = List::written(&entries).unwrap_err();
        let found: Vec<(usize, &str)> = problems.iter().map(|p| (p.index, p.code)).collect();
        assert_eq!(
            found,
            [
                (1, "amount_not_positive"),
                (1, "currency_mismatch"),
                (2, "merchant_repeated"),
                (3, "amount_not_positive"),
                (3, "field_invalid"),
            ]
        );
        assert_eq!(List::written(&[]).unwrap_err()[0].code, "list_empty");
    }

    #[test]
    fn a_merchant_may_be_paid_twice_under_references_of_their_own() {
        let twice = |first, second| {
            List::written(&[
                entry("acme", "NGN", 1, first),
                entry("acme", "NGN", 1, second),
            ])
        };
        assert!(twice(Some("a"), Some("b")).is_ok());
        for (first, second) in [
            (None, None),
            (Some("a"), None),
            (None, Some("a")),
            (Some("a"), Some("a")),
        ] {
            let problems = twice(first, second).unwrap_err();
            assert_eq!(problems[0].code, "merchant_repeated");
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_is_refused() {
        let entries = [
            entry("acme", "NGN", i64::MAX, None),
            entry("bolt", "NGN", 1, None),
        ];
        let problems = List::written(&entries).unwrap_err();
        assert_eq!(problems[0].code, "amount_too_large");
    }
}
