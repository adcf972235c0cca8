//! How far a verification is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A handle that a verification writes to and a display reads from. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    wallets: AtomicU64,
    entries: AtomicU64,
    pages_done: AtomicU64,
    pages_total: AtomicU64,
}

/// How far it was when it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Wallets read. They come before the entries.
    pub wallets: u64,
    /// Entries read.
    pub entries: u64,
    /// Pages of the tables read.
    pub pages_done: u64,
    /// Pages to read; 0 until the wallets are read, and where one wallet alone is verified.
    pub pages_total: u64,
}

impl Progress {
    /// How far it is now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Standing {
            wallets: read(&self.0.wallets),
            entries: read(&self.0.entries),
            pages_done: read(&self.0.pages_done),
            pages_total: read(&self.0.pages_total),
        }
    }

    pub(super) fn begin(&self, pages_total: u64) {
        self.0.pages_total.store(pages_total, Ordering::Relaxed);
    }

    pub(super) fn wallet(&self) {
        self.0.wallets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn entries(&self, count: u64) {
        self.0.entries.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn pages(&self, count: u64) {
        self.0.pages_done.fetch_add(count, Ordering::Relaxed);
    }
}
