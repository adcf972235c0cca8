//! All that is known after the day, from sources that know nothing of each other, and whether they
//! agree: the demo's own bookkeeping, the API's answers, the API's balances, the events, and
//! `aegisctl ledger verify`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::money::Currency;
use crate::published::Published;
use crate::stage::aegisctl::Verification;
use crate::tally::{Count, Tally};
use crate::witness::Account;
use crate::world::{WalletId, World};

/// Where the witness got its books from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Events from Kafka, and how many there are.
    Events(Published),
    /// There is no Kafka: the wallets' statements, through the API.
    Statements,
}

/// All that is known.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub world: Arc<World>,
    /// The bookkeeping's: counts by currency, balances by wallet.
    pub predicted: [Count; 3],
    pub predicted_balances: Vec<i64>,
    /// The answers.
    pub tally: Tally,
    /// The API's balances, as (address, currency, balance).
    pub listed: Vec<(String, String, i64)>,
    /// Events still in the outbox, by currency.
    pub waiting: [u64; 3],
    pub source: Source,
    pub account: Account,
    pub verification: Verification,
    pub sending: Duration,
    /// Until the witness had the last transaction, and how long after the last answer that was.
    pub reading: Duration,
    pub lag: Duration,
}

/// What was compared, and what did not agree.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub compared: u64,
    pub differences: Vec<String>,
}

impl Findings {
    fn same<T: PartialEq + Display>(&mut self, what: &str, expected: &T, found: &T) {
        self.compared += 1;
        if expected != found {
            let difference = format!("{what}: {found} instead of {expected}");
            self.differences.push(difference);
        }
    }
}

impl Evidence {
    /// The API's balance of each wallet; `None` where it lists none.
    pub(crate) fn api_balances(&self) -> Vec<Option<i64>> {
        let mut balances = vec![None; self.world.wallets.len()];
        for (address, currency, balance) in &self.listed {
            if let Some(wallet) = self.world.find(address, currency) {
                balances[wallet] = Some(*balance);
            }
        }
        balances
    }

    /// How many different transactions the witness knows, by currency.
    pub(crate) fn witnessed(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for currency in self.account.transactions.values() {
            counts[currency.index()] += 1;
        }
        counts
    }

    /// Compares everything with everything.
    pub(crate) fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        self.answers(&mut findings);
        self.published(&mut findings);
        self.transactions(&mut findings);
        self.balances(&mut findings);
        self.verification(&mut findings);
        findings
            .differences
            .extend(self.account.problems.iter().cloned());
        findings
    }

    fn answers(&self, findings: &mut Findings) {
        findings.compared += self
            .tally
            .counts
            .iter()
            .map(|count| count.sent)
            .sum::<u64>();
        findings.differences.extend(self.tally.told.iter().cloned());
        findings.same("answers other than predicted", &0, &self.tally.wrong);
        for currency in Currency::ALL {
            let n = currency.index();
            let (predicted, counted) = (&self.predicted[n], &self.tally.counts[n]);
            let what = |what: &str| format!("{}, {what}", currency.code());
            findings.same(&what("posted"), &predicted.posted, &counted.posted);
            findings.same(&what("replayed"), &predicted.replayed, &counted.replayed);
            let codes = [&predicted.refused, &counted.refused].map(listed);
            findings.same(&what("refused"), &codes[0], &codes[1]);
            findings.same(&what("left in the outbox"), &0, &self.waiting[n]);
            let [predicted, posted, came] = [
                predicted.money_posted,
                counted.money_posted,
                self.account.money[n],
            ]
            .map(|amount| currency.show(amount));
            findings.same(&what("money posted"), &predicted, &posted);
            findings.same(&what("money that came back"), &posted, &came);
        }
    }

    /// What is on the topic is what was consumed and what was dropped for a repeat.
    fn published(&self, findings: &mut Findings) {
        let Source::Events(published) = &self.source else {
            return;
        };
        let witnessed = self.witnessed();
        for currency in Currency::ALL {
            let n = currency.index();
            let less_repeats = published.records[n].saturating_sub(self.account.dropped[n]);
            let what = format!("{}, consumed of what was published", currency.code());
            findings.same(&what, &less_repeats, &witnessed[n]);
        }
        let what = "records without a currency of the world";
        findings.same(what, &0, &published.unknown);
    }

    /// Exactly the transactions that were answered reached the witness.
    fn transactions(&self, findings: &mut Findings) {
        let (posted, seen) = (&self.tally.transactions, &self.account.transactions);
        findings.compared += posted.len() as u64;
        for (id, currency) in posted {
            if seen.get(id) != Some(currency) {
                findings
                    .differences
                    .push(format!("transaction {id} was posted and never came"));
            }
        }
        for id in seen.keys().filter(|id| !posted.contains_key(id)) {
            findings
                .differences
                .push(format!("transaction {id} came and was never answered"));
        }
    }

    fn balances(&self, findings: &mut Findings) {
        let listed = self.api_balances();
        for (id, wallet) in self.world.wallets.iter().enumerate() {
            let name = format!("{} in {}", wallet.address, wallet.currency.code());
            let shown = |balance: i64| wallet.currency.show(balance);
            let expected = shown(self.predicted_balances[id]);
            let found = listed[id].map_or("none".to_owned(), shown);
            findings.same(&format!("{name}, the API's balance"), &expected, &found);
            let found = shown(self.account.balances[id]);
            findings.same(&format!("{name}, the sum of what came"), &expected, &found);
        }
        findings.same(
            "wallets that the API lists",
            &listed.len(),
            &self.listed.len(),
        );
    }

    fn verification(&self, findings: &mut Findings) {
        let verified = &self.verification;
        findings.same("ledger verify, ok", &true, &verified.ok);
        for check in &verified.checks {
            let name = format!("ledger verify, {}", check.name);
            findings.same(&name, &0, &check.violations);
            let first = check.first.iter().map(|first| format!("{name}: {first}"));
            findings.differences.extend(first);
        }
        let posted = self.tally.transactions.len() as u64;
        findings.same(
            "ledger verify, transactions",
            &posted,
            &verified.transactions,
        );
        findings.same(
            "ledger verify, entries",
            &self.account.entries,
            &verified.entries,
        );
        let wallets = self.world.wallets.len() as u64;
        findings.same("ledger verify, wallets", &wallets, &verified.wallets);
    }

    /// The wallets of a currency whose address begins with this segment.
    pub(crate) fn of_segment(&self, currency: Currency, segment: &str) -> Vec<WalletId> {
        let wallets = self.world.wallets.iter().enumerate();
        wallets
            .filter(|(_, wallet)| wallet.currency == currency && wallet.segment() == segment)
            .map(|(id, _)| id)
            .collect()
    }
}

/// Counts by code in words.
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(code, count)| format!("{count} {code}"))
        .collect();
    counts.join(", ")
}
