//! The wallets of a ledger in memory: what their entries have to lead to.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::chain::Head;
use super::findings::{Check, Detail, Findings, Place};
use crate::ledger::Hash;
use crate::postgres::verify::WalletRow;

/// All wallets, about 120 bytes each.
#[derive(Debug, Default)]
pub(super) struct Wallets {
    index: HashMap<Uuid, u32>,
    rows: Vec<([u8; 3], Head)>,
    starts: Vec<Hash>,
    totals: BTreeMap<[u8; 3], i128>,
}

impl Wallets {
    /// Takes a wallet in, and checks what can be said of it without its entries.
    pub(super) fn add(&mut self, row: &WalletRow<'_>, findings: &mut Findings) {
        // The table's domain allows three letters and nothing else.
        let code = row.currency.as_bytes().try_into().unwrap_or(*b"???");
        let total = self.totals.entry(code).or_default();
        // Sums of 64 bits: no number of wallets that fits into memory leaves 128.
        *total = total.saturating_add(i128::from(row.balance));
        let free = i128::from(row.balance).saturating_sub(i128::from(row.held));
        let place = Place::of_wallet(row.id, row.version);
        if row.held < 0 {
            findings.add(Check::Balances, place, || {
                Detail::new("the wallet holds less than nothing").found(row.held)
            });
        } else if let Some(min_balance) = row.min_balance
            && free < i128::from(min_balance)
        {
            findings.add(Check::Balances, place, || {
                Detail::new("the wallet's balance less what is held is below its minimum")
                    .expected(format!("at least {min_balance}"))
                    .found(free)
            });
        }
        // A ledger of 2^32 wallets doesn't fit into memory by far.
        let number = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        if self.index.insert(row.id, number).is_some() {
            findings.add(Check::References, place, || {
                Detail::new("two wallets have the same id")
            });
        }
        self.starts.push(row.chain_start);
        self.rows.push((
            code,
            Head {
                version: row.version,
                balance: row.balance,
                hash: row.head_hash,
            },
        ));
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The wallet's place and the code of its currency.
    pub(super) fn find(&self, wallet_id: Uuid) -> Option<(u32, [u8; 3])> {
        let place = *self.index.get(&wallet_id)?;
        let (code, _) = self.rows.get(usize::try_from(place).ok()?)?;
        Some((place, *code))
    }

    /// Where each wallet's chain begins, by its place.
    pub(super) fn starts(&self) -> impl Iterator<Item = Head> {
        self.starts.iter().copied().map(Head::start)
    }

    /// Every wallet with its place and where it says it stands.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Uuid, u32, Head)> {
        self.index.iter().filter_map(|(id, place)| {
            let (_, head) = self.rows.get(usize::try_from(*place).ok()?)?;
            Some((*id, *place, *head))
        })
    }

    /// Checks that the balances of every currency sum to zero: how many currencies there are.
    pub(super) fn check_totals(&self, findings: &mut Findings) -> u64 {
        for (code, total) in self.totals.iter().filter(|(_, total)| **total != 0) {
            let place = Place {
                currency: Some(*code),
                ..Place::default()
            };
            findings.add(Check::Totals, place, || {
                Detail::new("the balances of all wallets in this currency don't sum to 0")
                    .expected(0)
                    .found(total)
            });
        }
        u64::try_from(self.totals.len()).unwrap_or(u64::MAX)
    }
}
