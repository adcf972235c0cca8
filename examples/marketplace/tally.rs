//! Counts what was sent and what came of it, and compares every answer with the prediction.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::book::{Posting, Verdict};
use crate::client::Answers;
use crate::day::{Phase, Request};
use crate::money::Currency;
use crate::wire::Answer;
use crate::world::World;

/// How many differences are told in full.
const TOLD_MAX: usize = 5;

/// The count of one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub sent: u64,
    pub posted: u64,
    pub replayed: u64,
    /// By code.
    pub refused: BTreeMap<String, u64>,
    /// Minor units.
    pub money_sent: i64,
    pub money_posted: i64,
}

impl Count {
    fn add(&mut self, posting: &Posting, verdict: &Verdict) {
        self.sent += 1;
        self.money_sent += posting.amount();
        match verdict {
            Verdict::Posted => {
                self.posted += 1;
                self.money_posted += posting.amount();
            }
            Verdict::Replayed => self.replayed += 1,
            Verdict::Refused(code) => *self.refused.entry(code.clone()).or_default() += 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.posted += other.posted;
        self.replayed += other.replayed;
        self.money_sent += other.money_sent;
        self.money_posted += other.money_posted;
        for (code, count) in &other.refused {
            *self.refused.entry(code.clone()).or_default() += count;
        }
    }
}

/// What is predicted for the whole day, by currency.
pub(crate) fn predicted(phases: &[Phase]) -> [Count; 3] {
    let mut counts: [Count; 3] = Default::default();
    for request in phases.iter().flat_map(Phase::requests) {
        for (posting, verdict) in request.postings.iter().zip(&request.predicted) {
            counts[posting.currency.index()].add(posting, verdict);
        }
    }
    counts
}

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By currency.
    pub counts: [Count; 3],
    /// HTTP requests, each counted once however often it was asked.
    pub requests: u64,
    /// Requests that had no answer at first.
    pub asked_again: u64,
    /// Of those, postings that had taken effect before the answer was lost.
    pub found_again: u64,
    /// The transactions that were posted, with their currency.
    pub transactions: HashMap<Uuid, Currency>,
    /// Answers other than predicted, the first few in full.
    pub wrong: u64,
    pub told: Vec<String>,
    by_key: HashMap<String, Uuid>,
}

impl Tally {
    /// Takes down the answers on one request.
    pub(crate) fn take(&mut self, world: &World, request: &Request, answers: Answers) {
        self.requests += 1;
        self.asked_again += u64::from(answers.asked_again);
        let (asked, answered) = (request.postings.len(), answers.answers.len());
        if asked != answered {
            self.wrong(format!("{answered} answers on {asked} postings"));
        }
        let predicted = request.postings.iter().zip(&request.predicted);
        for ((posting, predicted), mut answer) in predicted.zip(answers.answers) {
            // It was posted, and the answer lost: asking again found it.
            if answers.asked_again
                && (predicted, &answer.verdict) == (&Verdict::Posted, &Verdict::Replayed)
            {
                answer.verdict = Verdict::Posted;
                self.found_again += 1;
            }
            self.counts[posting.currency.index()].add(posting, &answer.verdict);
            if let Err(difference) = self.judge(world, posting, predicted, &answer) {
                self.wrong(format!("{}: {difference}", posting.key));
            }
        }
    }

    fn judge(
        &mut self,
        world: &World,
        posting: &Posting,
        predicted: &Verdict,
        answer: &Answer,
    ) -> Result<(), String> {
        if answer.verdict != *predicted {
            let (found, detail) = (&answer.verdict, &answer.detail);
            return Err(format!(
                "{predicted:?} was predicted, the answer is {found:?} {detail}"
            ));
        }
        if let Some(entries) = &answer.entries
            && sorted(entries.clone()) != sorted(legs(world, posting))
        {
            return Err(format!("the answer has the entries {entries:?}"));
        }
        match (predicted, answer.transaction_id) {
            (Verdict::Refused(_), None) => Ok(()),
            (Verdict::Posted, Some(id)) => {
                self.by_key.insert(posting.key.clone(), id);
                match self.transactions.insert(id, posting.currency) {
                    None => Ok(()),
                    Some(_) => Err(format!("transaction {id} was answered before")),
                }
            }
            (Verdict::Replayed, Some(id)) if self.by_key.get(&posting.key) == Some(&id) => Ok(()),
            (_, id) => Err(format!("the answer names the transaction {id:?}")),
        }
    }

    fn wrong(&mut self, what: String) {
        self.wrong += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }

    /// Adds another lane's or phase's tally.
    pub(crate) fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            mine.merge(theirs);
        }
        self.requests += other.requests;
        self.asked_again += other.asked_again;
        self.found_again += other.found_again;
        self.wrong += other.wrong;
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(other.told.into_iter().take(room));
        for (id, currency) in other.transactions {
            if self.transactions.insert(id, currency).is_some() {
                self.wrong(format!("transaction {id} was answered twice"));
            }
        }
    }
}

/// A posting's legs as the API names them.
fn legs(world: &World, posting: &Posting) -> Vec<(String, i64)> {
    let named = |&(wallet, amount): &(usize, i64)| (world.wallets[wallet].address.clone(), amount);
    posting.legs.iter().map(named).collect()
}

fn sorted(mut legs: Vec<(String, i64)>) -> Vec<(String, i64)> {
    legs.sort_unstable();
    legs
}
