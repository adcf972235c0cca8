//! Gives letters up. Their rows stay, with the reason.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;

use super::error::DlqError;
use super::plan::{LeftOut, Why, error_code};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::dead_letters::list::{self, Letter};
use crate::postgres::dead_letters::{decide, lock, replays};

const DISCARDED: &str = "dead_letter.discarded";

/// Why somebody decides so: 1 to 1,000 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The most characters.
    pub const CHARS_MAX: usize = 1_000;

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty: write why, for whoever reads it in a year".to_owned());
        }
        if text.chars().count() > Self::CHARS_MAX {
            return Err(format!("is longer than {} characters", Self::CHARS_MAX));
        }
        if text.contains(char::is_control) {
            return Err("holds a control character, such as a line break".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What discarding would do.
#[derive(Clone, Debug, Default)]
pub struct DiscardPlan {
    /// Letters that wait and will be given up.
    pub letters: Vec<Letter>,
    /// Letters that were decided before.
    pub left_out: Vec<LeftOut>,
    /// Numbers that are none of a letter's.
    pub unknown: Vec<i64>,
}

impl DiscardPlan {
    /// Looks at these letters of a ledger, or of all. Changes nothing.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn make(
        conn: &mut PgConnection,
        ids: &[i64],
        ledger: Option<&str>,
    ) -> sqlx::Result<Self> {
        let mut plan = Self::default();
        let found = list::by_ids(conn, ids, ledger).await?;
        let asked: BTreeSet<i64> = ids.iter().copied().collect();
        let known: BTreeSet<i64> = found.iter().map(|letter| letter.id).collect();
        plan.unknown = asked.difference(&known).copied().collect();
        for letter in found {
            match Why::of_decision(&letter) {
                None => plan.letters.push(letter),
                Some(why) => plan.left_out.push(LeftOut { id: letter.id, why }),
            }
        }
        Ok(plan)
    }
}

/// Gives the plan's letters up, all in one transaction: the numbers of those that still waited.
///
/// # Errors
/// [`DlqError::Busy`] where a replay is at one of the topics, [`DlqError::Database`].
pub async fn discard(
    conn: &mut PgConnection,
    plan: &DiscardPlan,
    reason: &Reason,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Vec<i64>, DlqError> {
    let topics: BTreeSet<&str> = plan
        .letters
        .iter()
        .map(|letter| letter.original_topic.as_str())
        .collect();
    let mut transaction = conn.begin().await?;
    for topic in topics {
        // A letter that is being published is not given up at the same time.
        if !lock::try_share(&mut transaction, topic).await? {
            let by = replays::running_on(&mut transaction, topic).await?;
            return Err(DlqError::busy(topic, by));
        }
    }
    let done = write(&mut transaction, plan, reason, actor, now).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn write(
    conn: &mut PgConnection,
    plan: &DiscardPlan,
    reason: &Reason,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<i64>> {
    let ids: Vec<i64> = plan.letters.iter().map(|letter| letter.id).collect();
    let mut done = decide::discard(conn, &ids, reason.as_str(), &actor.name, now).await?;
    done.sort_unstable();
    for letter in &plan.letters {
        if done.binary_search(&letter.id).is_err() {
            continue;
        }
        let detail = json!({
            "original_topic": letter.original_topic,
            "event_id": letter.event_id,
            "error_code": error_code(&letter.error),
        });
        let deed = Deed {
            at: now,
            actor,
            action: DISCARDED,
            target: &format!("dead_letter:{}", letter.id),
            reason: Some(reason.as_str()),
            detail: Some(&detail),
        };
        audit::record(conn, deed).await?;
    }
    Ok(done)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        assert_eq!(
            " paid by hand ".parse::<Reason>().unwrap().as_str(),
            "paid by hand"
        );
        for text in ["", "  ", "a\nb", "a\0b", &"x".repeat(1_001)] {
            assert!(text.parse::<Reason>().is_err(), "{text:?}");
        }
    }
}
