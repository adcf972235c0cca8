//! What a replay would do: which letters, in which order, and which not and why.
//!
//! Made from one snapshot of the index, it holds the letters one by one. What is carried out is
//! this, so that letters which come back meanwhile are not part of it: a replay has an end.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::record::record;
use super::selection::{Selection, Which, original_topic};
use crate::postgres::dead_letters::decide::Read;
use crate::postgres::dead_letters::list::{self, Filter, Letter, Status};

/// After so many replays a letter waits for somebody who insists.
pub const LIVES_MAX: i32 = 3;

/// The length of an error's code, in characters.
const CODE_CHARS_MAX: usize = 80;

/// An error's code: its text up to the first colon.
#[must_use]
pub fn error_code(error: &str) -> String {
    let code = error.split(':').next().unwrap_or_default().trim();
    code.chars().take(CODE_CHARS_MAX).collect()
}

/// A letter that will be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// As it was read.
    pub read: Read,
    /// Length of its record.
    pub bytes: usize,
}

/// Letters of one topic and error that will be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The topic that they go to.
    pub original_topic: String,
    /// The error's code.
    pub error_code: String,
    /// How many.
    pub count: usize,
    /// When the first of them failed, UTC.
    pub oldest_failed_at: OffsetDateTime,
    /// When the last of them failed, UTC.
    pub newest_failed_at: OffsetDateTime,
}

/// Why a letter that was asked for will not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It had its lives, and nobody insists.
    NeedsForce {
        /// How often it was replayed.
        replays: i32,
    },
    /// Its message can't be restored.
    Unreadable(String),
    /// It was replayed already.
    Replayed {
        /// When, UTC.
        at: Option<OffsetDateTime>,
        /// By whom.
        by: Option<String>,
    },
    /// It was given up.
    Discarded {
        /// When, UTC.
        at: Option<OffsetDateTime>,
        /// By whom.
        by: Option<String>,
    },
}

impl Why {
    /// What was decided on the letter before; `None` where it waits.
    pub(super) fn of_decision(letter: &Letter) -> Option<Self> {
        let (at, by) = (letter.decided_at, letter.decided_by.clone());
        match letter.status {
            Status::Waiting => None,
            Status::Replayed => Some(Self::Replayed { at, by }),
            Status::Discarded => Some(Self::Discarded { at, by }),
        }
    }

    /// For programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NeedsForce { .. } => "needs_force",
            Self::Unreadable(_) => "unreadable",
            Self::Replayed { .. } => "already_replayed",
            Self::Discarded { .. } => "discarded",
        }
    }

    /// Whether there is nothing left to be done for the letter.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Replayed { .. })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut decided = |word: &str, at: &Option<OffsetDateTime>, by: &Option<String>| {
            f.write_str(word)?;
            if let Some(at) = at.and_then(|at| at.format(&Rfc3339).ok()) {
                write!(f, " at {at}")?;
            }
            by.as_ref().map_or(Ok(()), |by| write!(f, " by {by}"))
        };
        match self {
            Self::NeedsForce { replays } => {
                write!(
                    f,
                    "was replayed {replays} times and came back each time: it needs force"
                )
            }
            Self::Unreadable(why) => f.write_str(why),
            Self::Replayed { at, by } => decided("was replayed already", at, by),
            Self::Discarded { at, by } => decided("was discarded", at, by),
        }
    }
}

/// A letter that was asked for and will not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its number.
    pub id: i64,
    /// Why not.
    pub why: Why,
}

/// What a replay will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for.
    pub selection: Selection,
    /// The letters in the order in which they go out, which is that of their numbers.
    pub letters: Vec<Planned>,
    /// The same by topic and error, in order of topic, then of error.
    pub groups: Vec<Group>,
    /// Letters that were asked for and are not among them.
    pub left_out: Vec<LeftOut>,
    /// Numbers that were asked for and are none of a letter's.
    pub unknown: Vec<i64>,
}

impl Plan {
    /// Makes the plan from the index as it is now. Changes nothing.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn make(conn: &mut PgConnection, selection: Selection) -> sqlx::Result<Self> {
        let mut making = Making::new(selection);
        let mut snapshot = list::snapshot(conn).await?;
        match making.plan.selection.which.clone() {
            Which::Ids(ids) => making.named(&mut snapshot, &ids).await?,
            Which::Waiting {
                topic,
                error,
                since,
            } => {
                let filter = Filter {
                    status: Some(Status::Waiting),
                    original_topic: topic.as_deref().map(original_topic),
                    error,
                    since,
                    correlation_id: None,
                    ledger: making.plan.selection.ledger.clone(),
                    last_id: making.plan.selection.last_letter_id,
                };
                making.waiting(&mut snapshot, &filter).await?;
            }
        }
        snapshot.rollback().await?;
        Ok(making.done())
    }

    /// The original topics, sorted.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self
            .groups
            .iter()
            .map(|group| group.original_topic.clone())
            .collect();
        topics.dedup();
        topics
    }

    /// The newest letter that belongs to it; 0 where none does.
    #[must_use]
    pub fn last_letter_id(&self) -> i64 {
        self.letters.last().map_or(0, |letter| letter.read.id)
    }

    /// How many letters are left out for reasons that a person might want to look into.
    #[must_use]
    pub fn refused(&self) -> usize {
        let refused = self.left_out.iter().filter(|left| !left.why.is_done());
        refused.count()
    }

    /// How many letters are left out because of this.
    #[must_use]
    pub fn left_out_by(&self, code: &str) -> usize {
        let left_out = self.left_out.iter().filter(|left| left.why.code() == code);
        left_out.count()
    }

    /// In short, for the record.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let groups = self.groups.iter().map(|group| {
            json!({
                "original_topic": group.original_topic, "error_code": group.error_code,
                "count": group.count,
            })
        });
        json!({
            "selection": self.selection.to_json(),
            "total": self.letters.len(),
            "last_letter_id": self.last_letter_id(),
            "groups": groups.collect::<Vec<_>>(),
            "left_out": self.left_out.len(),
        })
    }
}

/// A plan in the making.
struct Making {
    plan: Plan,
    groups: BTreeMap<(String, String), Group>,
}

impl Making {
    fn new(selection: Selection) -> Self {
        Self {
            plan: Plan {
                selection,
                letters: Vec::new(),
                groups: Vec::new(),
                left_out: Vec::new(),
                unknown: Vec::new(),
            },
            groups: BTreeMap::new(),
        }
    }

    async fn named(&mut self, conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
        let ledger = self.plan.selection.ledger.clone();
        for some in ids.chunks(100) {
            let found = list::by_ids(conn, some, ledger.as_deref()).await?;
            for letter in &found {
                self.add(letter);
            }
            let known: Vec<i64> = found.iter().map(|letter| letter.id).collect();
            let unknown = some.iter().filter(|id| !known.contains(id));
            self.plan.unknown.extend(unknown);
        }
        Ok(())
    }

    async fn waiting(&mut self, conn: &mut PgConnection, filter: &Filter) -> sqlx::Result<()> {
        list::open(conn, filter).await?;
        while !self.is_full() {
            let letters = list::next(conn).await?;
            if letters.is_empty() {
                break;
            }
            for letter in &letters {
                self.add(letter);
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let limit = self.plan.selection.limit;
        limit.is_some_and(|limit| self.plan.letters.len() >= limit)
    }

    fn add(&mut self, letter: &Letter) {
        if self.is_full() {
            return;
        }
        if let Some(why) = why_not(letter, self.plan.selection.force) {
            let id = letter.id;
            self.plan.left_out.push(LeftOut { id, why });
            return;
        }
        self.plan.letters.push(Planned {
            read: read(letter),
            bytes: letter.letter.len(),
        });
        let code = error_code(&letter.error);
        let group = self
            .groups
            .entry((letter.original_topic.clone(), code.clone()))
            .or_insert_with(|| Group {
                original_topic: letter.original_topic.clone(),
                error_code: code,
                count: 0,
                oldest_failed_at: letter.failed_at,
                newest_failed_at: letter.failed_at,
            });
        group.count = group.count.saturating_add(1);
        group.oldest_failed_at = group.oldest_failed_at.min(letter.failed_at);
        group.newest_failed_at = group.newest_failed_at.max(letter.failed_at);
    }

    fn done(mut self) -> Plan {
        self.plan.groups = self.groups.into_values().collect();
        self.plan
    }
}

/// What a later decision on the letter rests on.
pub(super) fn read(letter: &Letter) -> Read {
    Read {
        id: letter.id,
        status: letter.status,
        replay_count: letter.replay_count,
    }
}

fn why_not(letter: &Letter, force: bool) -> Option<Why> {
    let needs_force = || {
        let replays = letter.replay_count;
        (replays >= LIVES_MAX).then_some(Why::NeedsForce { replays })
    };
    let refused = match force {
        true => None,
        false => Why::of_decision(letter).or_else(needs_force),
    };
    refused.or_else(|| unreadable(letter).map(Why::Unreadable))
}

/// Why a letter's message can't be published again, where it can't.
#[must_use]
pub fn unreadable(letter: &Letter) -> Option<String> {
    record(letter).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_code_stands_before_its_first_colon() {
        assert_eq!(
            error_code("insufficient_funds: 3 of 5: more"),
            "insufficient_funds"
        );
        assert_eq!(error_code(" no colon "), "no colon");
        assert_eq!(error_code(":"), "");
        assert_eq!(error_code(&"ä".repeat(200)).chars().count(), 80);
    }
}
