//! A person's word on a refund that nobody else settles.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::advance::give_up_lost;
use super::apply::News;
use super::case::Case;
use super::{Options, Refund, RefundError, RefundStatus, Resolution};
use crate::ledger::{Ledger, whole_microseconds};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::{atomically, refunds};
use crate::transit::{Learned, Verdict};

/// What came of a person's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It holds from now on.
    Now(Refund),
    /// The same was said before.
    Before(Refund),
    /// A rule's no; nothing took effect.
    Rejected {
        /// Stable.
        code: &'static str,
        /// What happened, to which thing, and what to do about it.
        detail: String,
    },
}

/// Why a person may not decide on a refund as it stands; `None`: it may be.
#[must_use]
pub fn objection(refund: &Refund, verdict: Verdict) -> Option<(&'static str, String)> {
    let (id, status) = (refund.id, refund.status.as_str());
    if !refund.status.is_open() {
        let detail = format!("refund {id} is {status} and stays so: nothing is left to decide");
        return Some(("refund_not_open", detail));
    }
    let was_sent = refund.status != RefundStatus::Requested || refund.doubtful_until.is_some();
    (verdict == Verdict::Succeeded && !was_sent).then(|| {
        let detail = format!("refund {id} was never sent: it can't have succeeded");
        ("refund_not_sent", detail)
    })
}

/// Settles an open refund by a person's word, with a row in the audit log. What the PSP says against
/// it later opens a discrepancy and moves nothing.
///
/// The rules: `refund_not_open`, `refund_not_sent`, `refund_being_sent`.
///
/// # Errors
/// [`RefundError`].
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
) -> Result<Resolved, RefundError> {
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
) -> Result<Resolved, RefundError> {
    let missing = || RefundError::NotFound(id);
    let found = refunds::find(conn, ledger.id, id)
        .await?
        .ok_or_else(missing)?;
    let now = word.at;
    let mut case = Case::open(conn, options, ledger, found.payment_id, now).await?;
    let locked = case.refunds.iter().find(|refund| refund.id == id);
    let mut refund = locked.cloned().ok_or_else(missing)?;
    let said = refund.resolution.as_ref();
    if refund.status == verdict.into() && said.is_some_and(|said| said.reason == word.reason) {
        return Ok(Resolved::Before(refund));
    }
    let is_due = refund.next_attempt_at.is_some_and(|due| due <= now);
    if refund.sending_since.is_some() && !is_due {
        let detail =
            format!("refund {id} is being sent at this moment: look again once the call is over");
        return Ok(Resolved::Rejected {
            code: "refund_being_sent",
            detail,
        });
    }
    let before = refund.status;
    if is_due && give_up_lost(&mut refund, now) {
        refunds::update(conn, ledger.id, before, &refund).await?;
        case.put(refund.clone());
    }
    if let Some((code, detail)) = objection(&refund, verdict) {
        return Ok(Resolved::Rejected { code, detail });
    }
    let mut news = News::new(Learned::Word(verdict), "person").because(word.reason.as_str());
    news.word = Some(word.clone());
    let (refund, _) = case.learn(conn, &refund, &news).await?;
    let detail = json!({"from": before.as_str(), "as": verdict.as_str()});
    let deed = Deed {
        at: now,
        actor,
        action: "refund.resolved",
        target: &format!("refund:{}/{id}", ledger.name),
        reason: Some(&word.reason),
        detail: Some(&detail),
    };
    audit::record(conn, deed).await?;
    Ok(Resolved::Now(refund))
}
