//! The wallets as this engine left them, so that a batch is decided without reading first.
//!
//! What is remembered is a guess: the fence of `post_batch` tells whether any of the wallets was
//! written to since, and the unique key whether any key was used. So a batch may be decided on it
//! only where all of it is posted. A rejection has to look at the keys first, since the same
//! command may have been posted before and be rejected now.

use std::collections::HashMap;
use std::time::Instant;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::postgres::posting::{Batch, Found, ReadWallet};

/// Some 50 MB.
const WALLETS_MAX: usize = 100_000;
/// How many batches read after a guess was wrong, or keys came again: what happened once goes on
/// for a while, when another engine posts too or a client repeats what it sent.
const CAREFUL_BATCHES: u32 = 32;
/// After how long PostgreSQL's clock is looked at anew.
const CLOCK_MAX: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Known {
    wallets: HashMap<(i32, Uuid), ReadWallet>,
    /// PostgreSQL's clock, and when it was read.
    clock: Option<(OffsetDateTime, Instant)>,
    careful: u32,
}

impl Known {
    /// What a batch on these wallets may be decided on, if all of it is known.
    pub(super) fn recall(&mut self, ledger_id: i32, wallet_ids: &[Uuid]) -> Option<Found> {
        if self.careful > 0 {
            self.careful = self.careful.saturating_sub(1);
            return None;
        }
        let (clock, read) = self.clock?;
        let since = read.elapsed();
        if since > CLOCK_MAX {
            return None;
        }
        let wallets = wallet_ids
            .iter()
            .map(|id| self.wallets.get(&(ledger_id, *id)).cloned())
            .collect::<Option<_>>()?;
        Some(Found {
            wallets,
            keys: Vec::new(),
            now: Some(clock.saturating_add(time::Duration::try_from(since).ok()?)),
        })
    }

    /// Remembers what was read.
    pub(super) fn learn(&mut self, ledger_id: i32, found: &Found) {
        if !found.keys.is_empty() {
            self.careful = CAREFUL_BATCHES;
        }
        if let Some(now) = found.now {
            self.clock = Some((now, Instant::now()));
        }
        if self.wallets.len().saturating_add(found.wallets.len()) > WALLETS_MAX {
            self.wallets.clear();
        }
        for read in &found.wallets {
            self.wallets
                .insert((ledger_id, read.wallet.id), read.clone());
        }
    }

    /// Remembers what a batch left behind as the database transaction of this number.
    pub(super) fn wrote(
        &mut self,
        ledger_id: i32,
        batch: &Batch<'_>,
        recorded_at: OffsetDateTime,
        xmin: i64,
    ) {
        for row in &batch.wallets {
            if let Some(known) = self.wallets.get_mut(&(ledger_id, row.id)) {
                known.xmin = xmin;
                known.wallet.balance = row.balance;
                known.wallet.version = row.version;
                known.wallet.head_hash = row.head_hash;
                known.wallet.updated_at = recorded_at;
            }
        }
    }

    /// Forgets all, and has the next batches read.
    pub(super) fn forget(&mut self) {
        self.wallets.clear();
        self.careful = CAREFUL_BATCHES;
    }
}
