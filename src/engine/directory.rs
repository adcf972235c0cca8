//! The ids of wallets by their addresses.
//!
//! A wallet's address and currency are its own for ever (the database refuses to change or delete
//! them), so what was found once needs no second look. What was not found is not remembered.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::Request;
use crate::ledger::{Address, Currency, Leg, WalletRef};
use crate::postgres::posting;

/// At about 150 bytes each: 15 MB.
const ENTRIES_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Directory {
    ids: HashMap<(i32, Address, Currency), Uuid>,
}

impl Directory {
    /// The ids of all wallets that the requests name and that exist, each once, in order: the
    /// order in which they are locked.
    pub(super) async fn resolve(
        &mut self,
        conn: &mut PgConnection,
        ledger_id: i32,
        requests: &[Request],
    ) -> sqlx::Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        let mut unknown: HashSet<(&Address, Currency)> = HashSet::new();
        for leg in legs(requests) {
            match &leg.wallet {
                WalletRef::Id(id) => ids.push(*id),
                WalletRef::Address(address) => {
                    match self.ids.get(&(ledger_id, address.clone(), leg.currency)) {
                        Some(id) => ids.push(*id),
                        None => {
                            unknown.insert((address, leg.currency));
                        }
                    }
                }
            }
        }
        if !unknown.is_empty() {
            if self.ids.len().saturating_add(unknown.len()) > ENTRIES_MAX {
                self.ids.clear();
            }
            let unknown: Vec<_> = unknown.into_iter().collect();
            let found = posting::find_wallet_ids(conn, ledger_id, &unknown).await?;
            for ((address, currency), id) in unknown.into_iter().zip(found) {
                if let Some(id) = id {
                    self.ids.insert((ledger_id, address.clone(), currency), id);
                    ids.push(id);
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// The legs of all commands that keep the static rules.
pub(super) fn legs(requests: &[Request]) -> impl Iterator<Item = &Leg> {
    requests
        .iter()
        .flat_map(|request| &request.commands)
        .filter_map(|command| command.transaction.as_ref().ok())
        .flat_map(|transaction| transaction.legs())
}
