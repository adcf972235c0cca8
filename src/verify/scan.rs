//! Workers that read entries and transactions by ranges of pages.
//!
//! Each takes the next range from one list until none is left, so that a slow range holds up
//! nobody. What a range of entries left behind is merged into the chains of all at once; the rest
//! a worker keeps to itself until it is done.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use super::VerifyError;
use super::chain::Chunk;
use super::findings::{Check, Detail, Findings, Place};
use super::fingerprint::{EntrySums, RandomFunction, Sums};
use super::merge::Chains;
use super::progress::Progress;
use super::wallets::Wallets;
use crate::postgres::Settings;
use crate::postgres::verify::{self as tables, Snapshot};

/// The most pages of a range: 32 MiB, some 200,000 entries.
const RANGE_PAGES_MAX: u32 = 4_096;
const RANGE_PAGES_MIN: u32 = 64;
/// Ranges for each worker where tables are small, so that all end at about the same time.
const RANGES_PER_WORKER: u32 = 8;
/// After how many entries the display is told.
const PROGRESS_ENTRIES: u64 = 4_096;

/// What all workers share.
#[derive(Debug)]
struct Shared {
    ledger_id: i32,
    snapshot: Snapshot,
    wallets: Wallets,
    chains: Mutex<Chains>,
    ranges: Vec<Pages>,
    next: AtomicUsize,
    random: RandomFunction,
    progress: Progress,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pages {
    Entries(Range<u32>),
    Transactions(Range<u32>),
}

/// What reading everything showed.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub findings: Findings,
    pub sums: Sums,
    pub entries: u64,
    pub transactions: u64,
    /// Whether a transaction says it has fewer than the two entries that it takes to balance.
    pub too_short: bool,
}

/// Reads all entries and transactions of the snapshot over so many connections.
pub(super) async fn scan(
    settings: &Settings,
    ledger_id: i32,
    snapshot: Snapshot,
    wallets: Wallets,
    connections: u32,
    progress: &Progress,
) -> Result<Scanned, VerifyError> {
    let ranges = ranges(&snapshot, connections);
    progress.begin(u64::from(snapshot.entry_pages) + u64::from(snapshot.transaction_pages));
    let shared = Arc::new(Shared {
        ledger_id,
        snapshot,
        chains: Mutex::new(Chains::new(&wallets)),
        wallets,
        ranges,
        next: AtomicUsize::new(0),
        random: RandomFunction::default(),
        progress: progress.clone(),
    });
    // Dropped with this future, and the workers with it.
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (shared, settings) = (Arc::clone(&shared), settings.clone());
        workers.spawn(async move { shared.work(&settings).await });
    }
    let mut all = Scanned::default();
    while let Some(part) = workers.join_next().await {
        all.merge(part??);
    }
    let chains = std::mem::take(&mut *shared.chains());
    chains.finish(&shared.wallets, &mut all.findings);
    Ok(all)
}

fn ranges(snapshot: &Snapshot, workers: u32) -> Vec<Pages> {
    let share = snapshot.entry_pages / workers.saturating_mul(RANGES_PER_WORKER).max(1);
    let step = share.clamp(RANGE_PAGES_MIN, RANGE_PAGES_MAX);
    let cut = |pages: u32| {
        (0..pages.div_ceil(step)).map(move |n| {
            let start = n.saturating_mul(step);
            start..start.saturating_add(step).min(pages)
        })
    };
    let entries = cut(snapshot.entry_pages).map(Pages::Entries);
    entries
        .chain(cut(snapshot.transaction_pages).map(Pages::Transactions))
        .collect()
}

impl Scanned {
    fn merge(&mut self, other: Self) {
        self.findings.merge(other.findings);
        self.sums.merge(other.sums);
        self.entries = self.entries.saturating_add(other.entries);
        self.transactions = self.transactions.saturating_add(other.transactions);
        self.too_short |= other.too_short;
    }
}

impl Shared {
    fn chains(&self) -> std::sync::MutexGuard<'_, Chains> {
        // A worker that panicked ends the run; what it left behind is not looked at.
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, settings: &Settings) -> Result<Scanned, VerifyError> {
        let mut conn = tables::connect(settings).await?;
        tables::join(&mut conn, &self.snapshot).await?;
        let mut scanned = Scanned::default();
        let mut chunk = Chunk::default();
        while let Some(pages) = self.ranges.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let range = match pages {
                Pages::Entries(range) => {
                    self.entries(&mut conn, range, &mut chunk, &mut scanned)
                        .await?;
                    range
                }
                Pages::Transactions(range) => {
                    self.transactions(&mut conn, range, &mut scanned).await?;
                    range
                }
            };
            self.progress
                .pages(u64::from(range.end.saturating_sub(range.start)));
        }
        conn.close().await?;
        Ok(scanned)
    }

    async fn entries(
        &self,
        conn: &mut PgConnection,
        range: &Range<u32>,
        chunk: &mut Chunk,
        scanned: &mut Scanned,
    ) -> sqlx::Result<()> {
        let mut sums = EntrySums::new(&self.random);
        let mut entries = 0_u64;
        let findings = &mut scanned.findings;
        tables::entries(conn, self.ledger_id, range, |row| {
            sums.entry(row.transaction_id, row.currency, row.amount);
            chunk.entry(row, &self.wallets, findings);
            entries = entries.saturating_add(1);
            if entries.is_multiple_of(PROGRESS_ENTRIES) {
                self.progress.entries(PROGRESS_ENTRIES);
            }
        })
        .await?;
        self.progress.entries(entries % PROGRESS_ENTRIES);
        let mut chains = self.chains();
        chunk.drain(|wallet_id, wallet, segment| {
            chains.add(wallet_id, wallet, segment, findings);
        });
        scanned.sums.merge(sums.sums);
        scanned.entries = scanned.entries.saturating_add(entries);
        Ok(())
    }

    async fn transactions(
        &self,
        conn: &mut PgConnection,
        range: &Range<u32>,
        scanned: &mut Scanned,
    ) -> sqlx::Result<()> {
        let Scanned {
            findings,
            sums,
            transactions,
            too_short,
            ..
        } = scanned;
        tables::transactions(conn, self.ledger_id, range, |id, header| {
            sums.transaction(&self.random, id, header.entry_count);
            *transactions = transactions.saturating_add(1);
            *too_short |= header.entry_count < 2;
            if !header.has_id(id) {
                findings.add(Check::HashChain, Place::of_transaction(id), || {
                    Detail::new("the transaction's id is not that of its fields: one was changed")
                });
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_page_once() {
        for (pages, workers) in [(0, 1), (1, 2), (63, 8), (64, 1), (4_097, 2), (100_000, 8)] {
            let snapshot = Snapshot {
                id: String::new(),
                entry_pages: pages,
                transaction_pages: 0,
            };
            let mut next = 0;
            for range in ranges(&snapshot, workers) {
                let Pages::Entries(range) = range else {
                    continue;
                };
                assert!(range.start == next && range.end > range.start);
                assert!(range.end - range.start <= RANGE_PAGES_MAX);
                next = range.end;
            }
            assert_eq!(next, pages);
        }
    }
}
