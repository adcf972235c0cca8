//! Joins the segments of all page ranges, wallet by wallet, and compares the ends with the wallets.

use std::cmp::Ordering;
use std::collections::HashMap;

use uuid::Uuid;

use super::chain::{Head, Segment, hex};
use super::findings::{Check, Detail, Findings, Place};
use super::wallets::Wallets;

/// Where each wallet's chain stands as far as it is known without a gap from its first entry on,
/// and the segments that lie ahead of it. In a sound ledger segments lie ahead only for as long as
/// a range of pages before them is still being read.
#[derive(Debug, Default)]
pub(super) struct Chains {
    heads: Vec<Head>,
    /// In order of their first versions. Empty lists are removed.
    ahead: HashMap<u32, Vec<Segment>>,
}

impl Chains {
    pub(super) fn new(wallets: &Wallets) -> Self {
        Self {
            heads: wallets.starts().collect(),
            ahead: HashMap::new(),
        }
    }

    /// Takes a segment in and joins it with what it meets.
    pub(super) fn add(
        &mut self,
        wallet_id: Uuid,
        wallet: u32,
        segment: Segment,
        findings: &mut Findings,
    ) {
        let Some(head) = place(&mut self.heads, wallet) else {
            return;
        };
        if !segment.follows(head) {
            let ahead = self.ahead.entry(wallet).or_default();
            insert(ahead, wallet_id, segment, findings);
            return;
        }
        join(head, wallet_id, &segment, findings);
        if self.ahead.is_empty() {
            return;
        }
        if let Some(ahead) = self.ahead.get_mut(&wallet) {
            while let Some(next) = ahead.first().copied()
                && next.follows(head)
            {
                join(head, wallet_id, &next, findings);
                ahead.remove(0);
            }
            if ahead.is_empty() {
                self.ahead.remove(&wallet);
            }
        }
    }

    /// All entries were read: says where chains have gaps and doubles, and where they end other
    /// than their wallets say.
    pub(super) fn finish(mut self, wallets: &Wallets, findings: &mut Findings) {
        for (wallet_id, wallet, expected) in wallets.iter() {
            let Some(head) = place(&mut self.heads, wallet) else {
                continue;
            };
            for segment in self.ahead.remove(&wallet).unwrap_or_default() {
                force(head, wallet_id, &segment, findings);
            }
            compare(wallet_id, head, &expected, findings);
        }
    }
}

fn place<T>(items: &mut [T], index: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(index).ok()?)
}

fn join(head: &mut Head, wallet_id: Uuid, next: &Segment, findings: &mut Findings) {
    next.first.check_after(wallet_id, head, findings);
    *head = next.last;
}

fn insert(ahead: &mut Vec<Segment>, wallet_id: Uuid, segment: Segment, findings: &mut Findings) {
    let at = ahead.partition_point(|other| other.first.version < segment.first.version);
    let before = at.checked_sub(1).and_then(|n| ahead.get_mut(n));
    let at = match before {
        Some(before) if segment.follows(&before.last) => {
            join(&mut before.last, wallet_id, &segment, findings);
            at.saturating_sub(1)
        }
        _ => {
            ahead.insert(at, segment);
            at
        }
    };
    let behind = ahead.get(at.saturating_add(1)).copied();
    if let Some(behind) = behind
        && let Some(joined) = ahead.get_mut(at)
        && behind.follows(&joined.last)
    {
        join(&mut joined.last, wallet_id, &behind, findings);
        ahead.remove(at.saturating_add(1));
    }
}

/// Goes on with a segment that may not follow: entries are missing before it, or stand twice.
fn force(head: &mut Head, wallet_id: Uuid, next: &Segment, findings: &mut Findings) {
    let expected = head.version.saturating_add(1);
    let place = next.first.place(wallet_id);
    match next.first.version.cmp(&expected) {
        Ordering::Equal => join(head, wallet_id, next, findings),
        Ordering::Greater => {
            findings.add(Check::Versions, place, || {
                Detail::new("entries are missing before this one")
                    .expected(expected)
                    .found(next.first.version)
            });
            findings.add(Check::HashChain, place, || {
                Detail::new("the hash can't be checked: the entry before this one is missing")
                    .found(hex(next.first.hash))
            });
            next.first.check_balance_after(wallet_id, head, findings);
            *head = next.last;
        }
        Ordering::Less => {
            findings.add(Check::Versions, place, || {
                Detail::new(if next.first.version < 1 {
                    "the entry's version is below 1"
                } else {
                    "another entry has the same version"
                })
                .expected(expected)
                .found(next.first.version)
            });
            if next.last.version > head.version {
                *head = next.last;
            }
        }
    }
}

fn compare(wallet_id: Uuid, last: &Head, wallet: &Head, findings: &mut Findings) {
    let place = Place::of_wallet(wallet_id, last.version);
    if last.version != wallet.version {
        findings.add(Check::Versions, place, || {
            Detail::new("the wallet's version is not that of its last entry")
                .expected(last.version)
                .found(wallet.version)
        });
    }
    if last.balance != wallet.balance {
        findings.add(Check::Balances, place, || {
            Detail::new("the wallet's balance is not that after its last entry")
                .expected(last.balance)
                .found(wallet.balance)
        });
    }
    if last.hash != wallet.hash {
        findings.add(Check::HashChain, place, || {
            Detail::new("the wallet's head_hash is not the hash of its last entry")
                .expected(hex(last.hash))
                .found(hex(wallet.hash))
        });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{ChainLink, Currency};
    use crate::postgres::verify::{EntryRow, WalletRow};
    use crate::verify::chain::Chunk;

    const WALLETS: u128 = 3;
    const ENTRIES: usize = 60;

    type Row = EntryRow<'static>;

    /// A sound history: rows of all wallets as they were written, and where the wallets stand.
    fn history(rng: &mut Rng) -> (Vec<Row>, Vec<WalletRow<'static>>) {
        let mut wallets: Vec<WalletRow<'static>> = (1..=WALLETS)
            .map(|n| WalletRow {
                id: Uuid::from_u128(n),
                currency: "NGN",
                balance: 0,
                held: 0,
                min_balance: None,
                version: 0,
                head_hash: [9; 32],
                chain_start: [9; 32],
            })
            .collect();
        let mut rows = Vec::new();
        for n in 0..ENTRIES {
            let wallet = rng.choice(&mut wallets).unwrap();
            let amount = rng.i64(-9..=9);
            let link = ChainLink {
                wallet_id: wallet.id,
                version: wallet.version + 1,
                transaction_id: Uuid::from_u128(n.try_into().unwrap()),
                currency: Currency::from_code("NGN").unwrap(),
                amount,
                balance_after: wallet.balance + amount,
            };
            wallet.head_hash = link.hash(&wallet.head_hash);
            wallet.version = link.version;
            wallet.balance = link.balance_after;
            rows.push(EntryRow {
                wallet_id: link.wallet_id,
                version: link.version,
                transaction_id: link.transaction_id,
                currency: "NGN",
                amount,
                balance_after: link.balance_after,
                hash: wallet.head_hash,
            });
        }
        (rows, wallets)
    }

    /// What is found in rows that come in these chunks, in this order.
    fn verify(chunks: &[Vec<Row>], expected: &[WalletRow<'_>]) -> Findings {
        let mut findings = Findings::default();
        let mut wallets = Wallets::default();
        for wallet in expected {
            wallets.add(wallet, &mut findings);
        }
        let mut chains = Chains::new(&wallets);
        let mut chunk = Chunk::default();
        for rows in chunks {
            for row in rows {
                chunk.entry(row, &wallets, &mut findings);
            }
            chunk.drain(|id, wallet, segment| chains.add(id, wallet, segment, &mut findings));
        }
        chains.finish(&wallets, &mut findings);
        findings
    }

    /// Cuts the rows into chunks that come in any order, the rows in each mostly in theirs.
    fn scatter(rows: &[Row], rng: &mut Rng) -> Vec<Vec<Row>> {
        let mut chunks = Vec::new();
        let mut rest = rows.to_vec();
        while !rest.is_empty() {
            let mut chunk: Vec<Row> = rest.drain(..rng.usize(1..=rest.len().min(20))).collect();
            match rng.u8(0..4) {
                0 => rng.shuffle(&mut chunk),
                1 => chunk.reverse(),
                _ => {}
            }
            chunks.push(chunk);
        }
        rng.shuffle(&mut chunks);
        chunks
    }

    /// Changes one row, or takes it away: its wallet.
    fn damage(rows: &mut Vec<Row>, rng: &mut Rng) -> Uuid {
        let at = rng.usize(0..rows.len());
        let row = rows.get_mut(at).unwrap();
        let wallet_id = row.wallet_id;
        match rng.u8(0..6) {
            0 => row.amount += 1,
            1 => row.balance_after -= 1,
            2 => row.hash[31] ^= 1,
            3 => row.transaction_id = Uuid::max(),
            4 => row.currency = "USD",
            _ => {
                rows.remove(at);
            }
        }
        wallet_id
    }

    proptest! {
        #[test]
        fn sound_rows_are_clean_however_they_come(seed: u64) {
            let mut rng = Rng::with_seed(seed);
            let (rows, wallets) = history(&mut rng);
            let found = verify(&scatter(&rows, &mut rng), &wallets);
            prop_assert_eq!(found, Findings::default());
        }

        #[test]
        fn damage_is_found_the_same_however_the_rows_come(seed: u64) {
            let mut rng = Rng::with_seed(seed);
            let (mut rows, wallets) = history(&mut rng);
            let damaged = damage(&mut rows, &mut rng);
            let mut in_order = verify(&[rows.clone()], &wallets);
            let scattered = verify(&scatter(&rows, &mut rng), &wallets);
            prop_assert_eq!(&scattered, &in_order);
            let tallies = Check::ALL.map(|check| in_order.take(check));
            let violations: u64 = tallies.iter().map(|tally| tally.violations).sum();
            prop_assert!((1..=6).contains(&violations), "{:?}", tallies);
            for (place, _) in tallies.iter().filter_map(|tally| tally.first.as_ref()) {
                prop_assert_eq!(place.wallet_id, Some(damaged));
            }
        }

        #[test]
        fn a_row_that_stands_twice_is_found_in_its_wallet(seed: u64) {
            let mut rng = Rng::with_seed(seed);
            let (mut rows, wallets) = history(&mut rng);
            let double = *rng.choice(&rows).unwrap();
            rows.insert(rng.usize(0..=rows.len()), double);
            let mut found = verify(&scatter(&rows, &mut rng), &wallets);
            let versions = found.take(Check::Versions);
            prop_assert_eq!(versions.violations, 1);
            prop_assert_eq!(versions.first.unwrap().0.wallet_id, Some(double.wallet_id));
            prop_assert_eq!(found, Findings::default());
        }
    }

    #[test]
    fn versions_at_the_ends_of_64_bits_are_gaps_like_others() {
        let (rows, wallets) = history(&mut Rng::with_seed(1));
        for version in [i64::MIN, i64::MAX] {
            let mut rows = rows.clone();
            rows.last_mut().unwrap().version = version;
            let mut found = verify(&[rows], &wallets);
            assert!(found.take(Check::Versions).violations >= 1);
        }
    }
}
