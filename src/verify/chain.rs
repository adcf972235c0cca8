//! A wallet's entries as runs that join.
//!
//! Entries come in the order in which they lie in the table, page range by page range and from
//! several connections at once, so a wallet's history arrives in pieces and out of order. A
//! [`Segment`] is a piece without gaps: its first entry, which still has to be compared with the
//! one before it, and where the wallet stood after its last. Two segments that meet join into one,
//! and it doesn't matter in which order they do.
//!
//! Every entry is compared with what is *stored* in the entry before it, so that one bad row is
//! reported once and doesn't make all the rows behind it look bad.

use std::collections::HashMap;

use uuid::Uuid;

use super::findings::{Check, Detail, Findings, Place};
use super::wallets::Wallets;
use crate::ledger::{ChainLink, Currency, Hash};
use crate::postgres::verify::EntryRow;

/// Where a wallet stands after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub version: i64,
    pub balance: i64,
    pub hash: Hash,
}

impl Head {
    /// Before a wallet's first entry, where its chain begins with this.
    pub(super) fn start(hash: Hash) -> Self {
        Self {
            version: 0,
            balance: 0,
            hash,
        }
    }
}

/// An entry of a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub version: i64,
    pub transaction_id: Uuid,
    /// `None` where the code is none that the program knows: then no hash can be right.
    pub currency: Option<Currency>,
    pub amount: i64,
    pub balance_after: i64,
    pub hash: Hash,
}

impl Entry {
    fn head(&self) -> Head {
        Head {
            version: self.version,
            balance: self.balance_after,
            hash: self.hash,
        }
    }

    pub(super) fn place(&self, wallet_id: Uuid) -> Place {
        Place {
            transaction_id: Some(self.transaction_id),
            ..Place::of_wallet(wallet_id, self.version)
        }
    }

    fn hash_after(&self, wallet_id: Uuid, previous: &Hash) -> Option<Hash> {
        let link = ChainLink {
            wallet_id,
            version: self.version,
            transaction_id: self.transaction_id,
            currency: self.currency?,
            amount: self.amount,
            balance_after: self.balance_after,
        };
        Some(link.hash(previous))
    }

    /// Compares the entry with the one before it.
    #[inline]
    pub(super) fn check_after(&self, wallet_id: Uuid, before: &Head, findings: &mut Findings) {
        self.check_balance_after(wallet_id, before, findings);
        if self.hash_after(wallet_id, &before.hash) != Some(self.hash) {
            findings.add(Check::HashChain, self.place(wallet_id), || {
                let expected = self.hash_after(wallet_id, &before.hash);
                Detail::new("the entry's hash is not that of its fields and the hash before it")
                    .expected(expected.map_or("a known currency".to_owned(), hex))
                    .found(hex(self.hash))
            });
        }
    }

    /// Compares the balances only: what can be said where entries are missing in between.
    pub(super) fn check_balance_after(
        &self,
        wallet_id: Uuid,
        before: &Head,
        findings: &mut Findings,
    ) {
        if before.balance.checked_add(self.amount) != Some(self.balance_after) {
            findings.add(Check::Balances, self.place(wallet_id), || {
                // 64 bits twice fit into 128.
                let sum = i128::from(before.balance).saturating_add(i128::from(self.amount));
                Detail::new("balance_after is not the balance before the entry plus its amount")
                    .expected(sum)
                    .found(self.balance_after)
            });
        }
    }
}

/// Bytes as people compare them.
pub(super) fn hex(hash: Hash) -> String {
    use std::fmt::Write;
    hash.iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing into a string can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Entries of one wallet that follow each other without a gap and were compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub first: Entry,
    pub last: Head,
}

impl Segment {
    pub(super) fn of(entry: Entry) -> Self {
        Self {
            last: entry.head(),
            first: entry,
        }
    }

    /// Whether the segment begins right behind this.
    pub(super) fn follows(&self, before: &Head) -> bool {
        before.version.checked_add(1) == Some(self.first.version)
    }
}

/// How many of a wallet's open segments are looked at for a row, the youngest first. Writers that
/// take turns leave a handful; what isn't found begins a segment of its own and is joined later.
const OPEN_SEGMENTS_MAX: usize = 4;

/// Segments of the entries of one range of pages.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    places: HashMap<Uuid, usize>,
    pieces: Vec<Piece>,
}

/// One wallet's segments.
#[derive(Debug)]
struct Piece {
    wallet_id: Uuid,
    wallet: u32,
    code: [u8; 3],
    currency: Option<Currency>,
    current: Segment,
    others: Vec<Segment>,
}

impl Chunk {
    /// Takes an entry in.
    #[inline]
    pub(super) fn entry(&mut self, row: &EntryRow<'_>, wallets: &Wallets, findings: &mut Findings) {
        if let Some(place) = self.places.get(&row.wallet_id)
            && let Some(piece) = self.pieces.get_mut(*place)
        {
            let entry = entry_of(row, piece.code, piece.currency, findings);
            piece.add(entry, findings);
            return;
        }
        let Some((wallet, code)) = wallets.find(row.wallet_id) else {
            let place = Place {
                transaction_id: Some(row.transaction_id),
                ..Place::of_wallet(row.wallet_id, row.version)
            };
            findings.add(Check::References, place, || {
                Detail::new("the entry names a wallet that doesn't exist")
            });
            return;
        };
        let currency = std::str::from_utf8(&code)
            .ok()
            .and_then(Currency::from_code);
        let entry = entry_of(row, code, currency, findings);
        self.places.insert(row.wallet_id, self.pieces.len());
        self.pieces.push(Piece {
            wallet_id: row.wallet_id,
            wallet,
            code,
            currency,
            current: Segment::of(entry),
            others: Vec::new(),
        });
    }

    /// Empties the chunk: the segments of each wallet in order of version, wallet after wallet.
    pub(super) fn drain(&mut self, mut each: impl FnMut(Uuid, u32, Segment)) {
        self.places.clear();
        for mut piece in self.pieces.drain(..) {
            if piece.others.is_empty() {
                each(piece.wallet_id, piece.wallet, piece.current);
                continue;
            }
            piece.others.push(piece.current);
            piece
                .others
                .sort_unstable_by_key(|segment| segment.first.version);
            for segment in piece.others {
                each(piece.wallet_id, piece.wallet, segment);
            }
        }
    }
}

/// The entry of a row, whose currency has to be its wallet's.
#[inline]
fn entry_of(
    row: &EntryRow<'_>,
    wallet_code: [u8; 3],
    wallet_currency: Option<Currency>,
    findings: &mut Findings,
) -> Entry {
    let same = row.currency.as_bytes() == wallet_code;
    let entry = Entry {
        version: row.version,
        transaction_id: row.transaction_id,
        currency: if same {
            wallet_currency
        } else {
            Currency::from_code(row.currency)
        },
        amount: row.amount,
        balance_after: row.balance_after,
        hash: row.hash,
    };
    if !same {
        findings.add(Check::References, entry.place(row.wallet_id), || {
            Detail::new("the entry's currency is not its wallet's")
                .expected(String::from_utf8_lossy(&wallet_code))
                .found(row.currency)
        });
    }
    entry
}

impl Piece {
    #[inline]
    fn add(&mut self, entry: Entry, findings: &mut Findings) {
        let next = Segment::of(entry);
        if !next.follows(&self.current.last) {
            let open = self
                .others
                .iter()
                .enumerate()
                .rev()
                .take(OPEN_SEGMENTS_MAX)
                .find(|(_, other)| next.follows(&other.last))
                .map(|(place, _)| place);
            match open.and_then(|place| self.others.get_mut(place)) {
                Some(other) => std::mem::swap(other, &mut self.current),
                None => {
                    self.others.push(std::mem::replace(&mut self.current, next));
                    return;
                }
            }
        }
        entry.check_after(self.wallet_id, &self.current.last, findings);
        self.current.last = next.last;
    }
}
