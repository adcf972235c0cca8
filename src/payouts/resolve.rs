//! A person's word on a payout that nobody else settles.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::advance::{give_up_lost, is_being_sent, lock};
use super::apply::{News, apply};
use super::{Options, Payout, PayoutError, PayoutStatus, Resolution};
use crate::ledger::{Ledger, whole_microseconds};
use crate::postgres::atomically;
use crate::postgres::audit::{self, Actor, Deed};
use crate::transit::{Learned, Verdict};

/// What came of a person's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It holds from now on.
    Now(Payout),
    /// The same was said before.
    Before(Payout),
    /// A rule's no; nothing took effect.
    Rejected {
        /// Stable.
        code: &'static str,
        /// What happened, to which thing, and what to do about it.
        detail: String,
    },
}

/// Why a person may not decide on a payout as it stands; `None`: it may be.
#[must_use]
pub fn objection(payout: &Payout, verdict: Verdict) -> Option<(&'static str, String)> {
    if !payout.status.is_open() {
        let detail = format!(
            "payout {} is {} and stays so: nothing is left to decide",
            payout.id,
            payout.status.as_str()
        );
        return Some(("payout_not_open", detail));
    }
    let was_sent = payout.status != PayoutStatus::Requested || payout.doubt.is_some();
    (verdict == Verdict::Succeeded && !was_sent).then(|| {
        let detail = format!(
            "payout {} was never sent: it can't have succeeded",
            payout.id
        );
        ("payout_not_sent", detail)
    })
}

/// Settles an open payout by a person's word, with a row in the audit log. What the PSP says against
/// it later opens a discrepancy and moves nothing.
///
/// The rules: `payout_not_open`, `payout_not_sent`, `payout_being_sent`.
///
/// # Errors
/// [`PayoutError`].
#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
pub async fn resolve(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    id: Uuid,
    verdict: Verdict,
    reason: &str,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Resolved, PayoutError> {
    let word = Resolution {
        by: actor.name.clone(),
        at: whole_microseconds(now),
        reason: reason.to_owned(),
    };
    atomically!(pool, |conn| decide(
        conn, options, ledger, id, verdict, &word, actor
    ))
}

async fn decide(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    id: Uuid,
    verdict: Verdict,
    word: &Resolution,
    actor: &Actor,
) -> Result<Resolved, PayoutError> {
    let now = word.at;
    let mut payout = lock(conn, ledger, id).await?;
    let said = payout.resolution.as_ref();
    if payout.status == verdict.into() && said.is_some_and(|said| said.reason == word.reason) {
        return Ok(Resolved::Before(payout));
    }
    if payout.next_attempt_at.is_some_and(|due| due <= now) {
        payout = give_up_lost(conn, options, ledger, payout, now).await?;
    } else if is_being_sent(conn, ledger, id).await? {
        return Ok(Resolved::Rejected {
            code: "payout_being_sent",
            detail: format!(
                "payout {id} is being sent at this moment: look again once the call is over"
            ),
        });
    }
    if let Some((code, detail)) = objection(&payout, verdict) {
        return Ok(Resolved::Rejected { code, detail });
    }
    let before = payout.status;
    let mut news = News::new(Learned::Word(verdict), "person").because(word.reason.as_str());
    news.word = Some(word.clone());
    let (payout, _) = apply(conn, options, ledger, payout, &news, now).await?;
    let detail = json!({"from": before.as_str(), "as": verdict.as_str()});
    let deed = Deed {
        at: now,
        actor,
        action: "payout.resolved",
        target: &format!("payout:{}/{id}", ledger.name),
        reason: Some(&word.reason),
        detail: Some(&detail),
    };
    audit::record(conn, deed).await?;
    Ok(Resolved::Now(payout))
}
