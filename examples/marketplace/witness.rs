//! What somebody outside learns of the ledger from its events alone: a second set of books, built
//! from nothing but the JSON on the wire. An event says each wallet's version and balance after
//! every entry, so a reader sees by itself whether it missed one or got one twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::money::Currency;
use crate::world::{WalletId, World};

/// One entry of a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Movement {
    version: i64,
    amount: i64,
    balance_after: i64,
}

impl Movement {
    fn read(entry: &Value) -> Option<Self> {
        Some(Self {
            version: entry["version"].as_i64()?,
            amount: entry["amount"].as_i64()?,
            balance_after: entry["balance_after"].as_i64()?,
        })
    }
}

/// Collects what events, or statements, tell.
#[derive(Debug)]
pub(crate) struct Witness {
    world: Arc<World>,
    /// By wallet.
    movements: Vec<Vec<Movement>>,
    transactions: HashMap<Uuid, Currency>,
    /// Ids of events: the same id is the same event.
    events: HashSet<String>,
    /// The last version that came of a wallet by whose order events are kept.
    last_in_order: HashMap<String, i64>,
    /// Events that came before, dropped, by currency.
    pub dropped: [u64; 3],
    /// What it could not make sense of.
    problems: Vec<String>,
}

/// The books of the witness, closed.
#[derive(Debug)]
pub(crate) struct Account {
    /// By wallet.
    pub balances: Vec<i64>,
    pub transactions: HashMap<Uuid, Currency>,
    pub entries: u64,
    /// What wallets' takers got, by currency.
    pub money: [i64; 3],
    pub dropped: [u64; 3],
    pub problems: Vec<String>,
}

impl Witness {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            movements: vec![Vec::new(); world.wallets.len()],
            world,
            transactions: HashMap::new(),
            events: HashSet::new(),
            last_in_order: HashMap::new(),
            dropped: [0; 3],
            problems: Vec::new(),
        }
    }

    /// Whose wallets it knows.
    pub(crate) fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// How many different transactions it knows.
    pub(crate) fn transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Reads an event: its id, the record's key, its data.
    pub(crate) fn event(&mut self, id: &str, key: &str, data: &[u8]) {
        if let Err(problem) = self.read(id, key, data) {
            self.problems.push(format!("event {id}: {problem}"));
        }
    }

    fn read(&mut self, id: &str, key: &str, data: &[u8]) -> Result<(), String> {
        let data: Value = serde_json::from_slice(data).map_err(|error| error.to_string())?;
        let entries = data["entries"].as_array().ok_or("it has no entries")?;
        let code = data["entries"][0]["currency"].as_str().unwrap_or_default();
        let currency = Currency::from_code(code).ok_or(format!("its currency is {code:?}"))?;
        if !self.events.insert(id.to_owned()) {
            self.dropped[currency.index()] += 1;
            return Ok(());
        }
        let transaction = data["transaction_id"].as_str().unwrap_or_default();
        let transaction: Uuid = transaction.parse().map_err(|_| "it names no transaction")?;
        if self.transactions.insert(transaction, currency).is_some() {
            return Err(format!(
                "transaction {transaction} came in another event too"
            ));
        }
        let mut sum = 0;
        for entry in entries {
            let address = entry["address"].as_str().unwrap_or_default();
            let wallet = self.world.find(address, code);
            let wallet = wallet.ok_or_else(|| format!("nobody made the wallet {address}"))?;
            let movement = Movement::read(entry).ok_or_else(|| format!("it has {entry}"))?;
            self.movements[wallet].push(movement);
            sum += movement.amount;
            if entry["wallet_id"] == key {
                self.in_order(key, movement.version)?;
            }
        }
        if sum != 0 {
            return Err(format!("its entries sum to {sum}"));
        }
        Ok(())
    }

    /// Records of one key stay in order, so that a consumer can follow a wallet as it moves.
    fn in_order(&mut self, key: &str, version: i64) -> Result<(), String> {
        let last = self
            .last_in_order
            .insert(key.to_owned(), version)
            .unwrap_or(0);
        if last < version {
            return Ok(());
        }
        Err(format!(
            "version {version} of wallet {key} came behind its version {last}"
        ))
    }

    /// Reads a line of a wallet's statement, where there are no events.
    pub(crate) fn line(&mut self, wallet: WalletId, line: &Value) -> Option<()> {
        let movement = Movement::read(line)?;
        let transaction = line["transaction_id"].as_str()?.parse().ok()?;
        self.transactions
            .insert(transaction, self.world.wallets[wallet].currency);
        self.movements[wallet].push(movement);
        Some(())
    }

    /// Adds up, and looks whether every wallet's history is whole.
    pub(crate) fn close(mut self) -> Account {
        let mut balances = vec![0; self.movements.len()];
        let (mut entries, mut money) = (0, [0; 3]);
        for (id, movements) in self.movements.iter_mut().enumerate() {
            let wallet = &self.world.wallets[id];
            movements.sort_unstable();
            let mut whole = true;
            for (version, movement) in (1..).zip(movements.iter()) {
                balances[id] += movement.amount;
                entries += 1;
                money[wallet.currency.index()] += movement.amount.max(0);
                let expected = (version, balances[id]);
                // What follows the first gap is off by the same.
                if whole && (movement.version, movement.balance_after) != expected {
                    whole = false;
                    self.problems.push(format!(
                        "{} in {}: version {} with the balance {} came where version {version} \
                         with {} was due",
                        wallet.address,
                        wallet.currency.code(),
                        movement.version,
                        wallet.currency.show(movement.balance_after),
                        wallet.currency.show(balances[id]),
                    ));
                }
            }
        }
        Account {
            balances,
            transactions: self.transactions,
            entries,
            money,
            dropped: self.dropped,
            problems: self.problems,
        }
    }
}
