//! The steps of one attempt at a batch, whoever owns the database transaction.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Request;
use super::decision::{Decided, Verdict, decide, outcomes};
use super::directory::legs;
use crate::ledger::{Address, Ledger, Outcome, Receipt, WalletRef};
use crate::postgres::posting::{self, Found};
use crate::postgres::transactions;

/// A batch on its way.
pub(super) struct Job<'a> {
    pub ledger: &'a Ledger,
    pub requests: &'a [Request],
    /// Where its events go.
    pub topic: &'a str,
    /// Of all commands.
    pub keys: Vec<&'a str>,
}

/// What came of a write behind the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// Somebody else wrote to one of the wallets: nothing was written.
    Broken,
    NothingToWrite,
    Held {
        /// That of the wallets from here on.
        xmin: i64,
    },
}

/// How a step failed.
pub(super) enum Step {
    Database(sqlx::Error),
    Event(String),
}

impl From<sqlx::Error> for Step {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl<'a> Job<'a> {
    pub(super) fn new(ledger: &'a Ledger, requests: &'a [Request], topic: &'a str) -> Self {
        let commands = requests.iter().flat_map(|request| &request.commands);
        Self {
            ledger,
            requests,
            topic,
            keys: commands.map(|command| command.key.as_str()).collect(),
        }
    }

    pub(super) async fn decide(
        &self,
        conn: &mut PgConnection,
        found: &'a Found,
    ) -> Result<Decided<'a>, Step> {
        let elsewhere = self.addresses_elsewhere(conn, found).await?;
        let now = found.now.unwrap_or_else(OffsetDateTime::now_utc);
        let (ledger, requests, topic) = (self.ledger, self.requests, self.topic);
        decide(ledger, requests, found, elsewhere, now, topic)
            .map_err(|error| Step::Event(error.to_string()))
    }

    /// Addresses that were asked for and not found in their currency, though in another.
    async fn addresses_elsewhere(
        &self,
        conn: &mut PgConnection,
        found: &Found,
    ) -> sqlx::Result<HashSet<Address>> {
        let known: HashSet<(&Address, _)> = found
            .wallets
            .iter()
            .map(|read| (&read.wallet.address, read.wallet.currency))
            .collect();
        let missing: HashSet<&str> = legs(self.requests)
            .filter_map(|leg| match &leg.wallet {
                WalletRef::Address(address) if !known.contains(&(address, leg.currency)) => {
                    Some(address.as_str())
                }
                _ => None,
            })
            .collect();
        if missing.is_empty() {
            return Ok(HashSet::new());
        }
        let missing: Vec<&str> = missing.into_iter().collect();
        posting::addresses_in_any_currency(conn, self.ledger.id, &missing).await
    }

    /// The transactions that earlier batches left under the keys of this one. Read before this one
    /// is written: what could fail behind the COMMIT would be taken for a failure of the whole.
    pub(super) async fn stored(
        &self,
        conn: &mut PgConnection,
        decided: &Decided<'_>,
    ) -> Result<HashMap<Uuid, Receipt>, Step> {
        let ids: Vec<Uuid> = decided
            .verdicts
            .iter()
            .filter_map(|verdict| match verdict {
                Verdict::Stored(id) => Some(*id),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let stored = transactions::receipts(conn, self.ledger.id, &ids).await?;
        match ids.iter().all(|id| stored.contains_key(id)) {
            true => Ok(stored),
            false => Err(stored_is_missing()),
        }
    }

    pub(super) async fn write_fenced(
        &self,
        conn: &mut PgConnection,
        decided: &Decided<'_>,
    ) -> sqlx::Result<Fence> {
        if decided.batch.transactions.is_empty() {
            return Ok(Fence::NothingToWrite);
        }
        let recorded_at = decided.recorded_at;
        let xmin = posting::write_fenced(conn, self.ledger.id, &decided.batch, recorded_at).await?;
        Ok(xmin.map_or(Fence::Broken, |xmin| Fence::Held { xmin }))
    }

    pub(super) async fn write_copy(
        &self,
        conn: &mut PgConnection,
        decided: &Decided<'_>,
    ) -> sqlx::Result<()> {
        if decided.batch.transactions.is_empty() {
            return Ok(());
        }
        posting::write_copy(conn, self.ledger.id, &decided.batch, decided.recorded_at).await
    }
}

/// What the callers are told. `attempted` are the ids that this posting may have written in an
/// attempt before: stored ones among them are its own, not repeats.
pub(super) fn answer(
    decided: Decided<'_>,
    stored: &HashMap<Uuid, Receipt>,
    attempted: &[Uuid],
) -> Result<Vec<Outcome>, Step> {
    let mut ours = match stored.is_empty() {
        true => HashSet::new(),
        false => attempted.iter().copied().collect(),
    };
    outcomes(decided, stored, &mut ours).ok_or_else(stored_is_missing)
}

fn stored_is_missing() -> Step {
    Step::Database(sqlx::Error::Decode(
        "a stored transaction can't be found".into(),
    ))
}
