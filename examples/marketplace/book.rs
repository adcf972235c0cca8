//! The demo's own bookkeeping: a few lines that know nothing of Aegis, and predict its every
//! answer. What Aegis does in PostgreSQL under concurrency, retries and a power cut has to come to
//! the same as this does in a `Vec`.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::money::Currency;
use crate::world::{WalletId, World};

/// Aegis's codes for what is refused today.
pub(crate) mod code {
    pub(crate) const INSUFFICIENT_FUNDS: &str = "insufficient_funds";
    pub(crate) const KEY_REUSED: &str = "idempotency_key_reused";
    pub(crate) const BATCH_REJECTED: &str = "batch_rejected";
}

/// A movement of money: legs that sum to zero, under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    /// The idempotency key: the same key takes effect once.
    pub key: String,
    /// What it belongs to, such as an order.
    pub reference: String,
    /// When it happens in the story.
    pub at: OffsetDateTime,
    pub currency: Currency,
    /// Minor units; what a wallet gives is negative. In a transfer the giver stands first.
    pub legs: Vec<(WalletId, i64)>,
}

impl Posting {
    /// How much money it moves: what its takers get.
    pub(crate) fn amount(&self) -> i64 {
        self.legs.iter().map(|&(_, amount)| amount.max(0)).sum()
    }
}

/// What comes of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It took effect now.
    Posted,
    /// It took effect before, under the same key; the answer is the first one.
    Replayed,
    /// A rule said no, by this code. Nothing happened, and the key stays free.
    Refused(String),
}

impl Verdict {
    fn refused(code: &str) -> Self {
        Self::Refused(code.to_owned())
    }
}

/// Balances, and what every key stands for.
#[derive(Debug)]
pub(crate) struct Book {
    pub balances: Vec<i64>,
    floors: Vec<Option<i64>>,
    keys: HashMap<String, Posting>,
}

impl Book {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            balances: vec![0; world.wallets.len()],
            floors: world.wallets.iter().map(|wallet| wallet.floor).collect(),
            keys: HashMap::new(),
        }
    }

    /// Decides one posting and carries it out.
    pub(crate) fn decide(&mut self, posting: &Posting) -> Verdict {
        if let Some(first) = self.keys.get(&posting.key) {
            return if first == posting {
                Verdict::Replayed
            } else {
                Verdict::refused(code::KEY_REUSED)
            };
        }
        let falls_short = |&(wallet, amount): &(WalletId, i64)| {
            self.floors[wallet].is_some_and(|floor| self.balances[wallet] + amount < floor)
        };
        if posting.legs.iter().any(falls_short) {
            return Verdict::refused(code::INSUFFICIENT_FUNDS);
        }
        for &(wallet, amount) in &posting.legs {
            self.balances[wallet] += amount;
        }
        self.keys.insert(posting.key.clone(), posting.clone());
        Verdict::Posted
    }

    /// Decides an atomic batch: the first no undoes what came before it, and stops the rest.
    pub(crate) fn decide_all_or_none(&mut self, postings: &[Posting]) -> Vec<Verdict> {
        let balances = self.balances.clone();
        let mut verdicts = Vec::with_capacity(postings.len());
        for (culprit, posting) in postings.iter().enumerate() {
            let verdict = self.decide(posting);
            if let Verdict::Refused(_) = verdict {
                self.balances = balances;
                for (undone, before) in postings.iter().zip(&verdicts) {
                    if *before == Verdict::Posted {
                        self.keys.remove(&undone.key);
                    }
                }
                let mut all = vec![Verdict::refused(code::BATCH_REJECTED); postings.len()];
                all[culprit] = verdict;
                return all;
            }
            verdicts.push(verdict);
        }
        verdicts
    }
}
