//! Writing down what was learned of a payout: how it stands, its money and its event in one COMMIT.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::amiss::disagree;
use super::request::details;
use super::{Doubt, Options, Payout, PayoutError, Resolution, state, tell};
use crate::engine::{Posting, post_own};
use crate::ledger::{Ledger, whole_microseconds};
use crate::merchant::{Purse, house};
use crate::postgres::payouts;
use crate::psp::Transfer;
use crate::transit::{Calls, Decision, Learned, Movement, complaint, decide};

/// What came of a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It changed something.
    Done,
    /// It changed nothing: it was known, or came late.
    Ignored,
    /// It does not agree with what is known.
    Discrepancy,
}

/// Takes in what a webhook says of a payout, within the caller's transaction.
///
/// # Errors
/// [`PayoutError`]; the transaction is then to be rolled back.
pub async fn apply_transfer(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    payout_id: Uuid,
    transfer: &Transfer,
    now: OffsetDateTime,
) -> Result<Applied, PayoutError> {
    let locked = payouts::lock(conn, ledger.id, payout_id).await?;
    let payout = locked.ok_or(PayoutError::NotFound(payout_id))?;
    let news = News::seen(transfer.clone(), "webhook");
    let (_, applied) = apply(conn, options, ledger, payout, &news, now).await?;
    Ok(applied)
}

/// What was learned, and all that is written down with it.
#[derive(Clone, Debug)]
pub(super) struct News<'a> {
    pub(super) learned: Learned,
    /// The transfer, where the PSP told of one.
    pub(super) transfer: Option<Transfer>,
    /// The time of a call that may have sent it.
    pub(super) doubt: Option<Doubt>,
    /// In words, where something is not as it should be.
    pub(super) detail: Option<String>,
    /// When the PSP wants to be called again at the earliest.
    pub(super) retry_after: Option<Duration>,
    /// What a person said.
    pub(super) word: Option<Resolution>,
    /// Who found it: `webhook`, `query` or `person`.
    pub(super) source: &'a str,
}

impl<'a> News<'a> {
    pub(super) fn new(learned: Learned, source: &'a str) -> Self {
        Self {
            learned,
            transfer: None,
            doubt: None,
            detail: None,
            retry_after: None,
            word: None,
            source,
        }
    }

    pub(super) fn seen(transfer: Transfer, source: &'a str) -> Self {
        let learned = state::seen(&transfer);
        Self {
            detail: transfer.detail.clone(),
            transfer: Some(transfer),
            ..Self::new(learned, source)
        }
    }

    pub(super) fn because(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

/// Decides on a locked payout and writes down what follows: the payout as it stands then.
pub(super) async fn apply(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    before: Payout,
    news: &News<'_>,
    now: OffsetDateTime,
) -> Result<(Payout, Applied), PayoutError> {
    let now = whole_microseconds(now);
    let decision = decide(state::known(&before), news.learned);
    let mut payout = before.clone();
    take_in(&mut payout, options, &decision, news, now);
    let fee = newly_known_fee(&before, &payout, &decision, news);
    payout.psp_fee = fee.or(payout.psp_fee);
    if payout == before && decision.amiss.is_none() {
        return Ok((payout, Applied::Ignored));
    }
    payout.updated_at = now;
    if !payouts::update(conn, ledger.id, before.status, &payout).await? {
        let told = format!("payout {} changed though its row was locked", payout.id);
        return Err(sqlx::Error::Protocol(told).into());
    }
    let postings = postings(&before, decision.movement, fee);
    let topic = &options.topic_transactions;
    if let Err(rejection) = post_own(conn, ledger, postings, topic).await? {
        let id = payout.id;
        return Err(PayoutError::Refused { id, rejection });
    }
    let changes = payout.status != before.status;
    if changes {
        let event_type = state::event(payout.status);
        tell(conn, options, ledger, &payout, event_type, now).await?;
    }
    if let Some(class) = decision.amiss {
        disagree(conn, options, ledger, &payout, class, news, now).await?;
        return Ok((payout, Applied::Discrepancy));
    }
    let applied = match changes || fee.is_some() {
        true => Applied::Done,
        false => Applied::Ignored,
    };
    Ok((payout, applied))
}

/// Everything of the row but the fee.
fn take_in(
    payout: &mut Payout,
    options: &Options,
    decision: &Decision,
    news: &News<'_>,
    now: OffsetDateTime,
) {
    let status = state::status(decision.standing);
    let changes = status != payout.status;
    payout.status = status;
    // One of another sum stands under our reference, too; what has ended has its own.
    if let Some(transfer) = &news.transfer
        && (decision.amiss.is_none() || decision.standing.is_open())
    {
        payout.psp_code = Some(transfer.code.clone());
    }
    payout.refused |= payout.doubt.is_some() && news.learned == Learned::Refused;
    payout.doubt = match (payout.doubt, news.doubt) {
        (Some(before), Some(new)) => Some(Doubt {
            since: before.since.min(new.since),
            until: before.until.max(new.until),
        }),
        (before, new) => before.or(new),
    };
    if payout.resolution.is_none() {
        payout.resolution.clone_from(&news.word);
    }
    if matches!(news.learned, Learned::NotKnown { .. }) {
        payout.not_known_at = Some(now);
    }
    let before = Calls {
        waits: payout.waits,
        due: payout.next_attempt_at,
    };
    let calls = decision.next.calls(before, now, |waits| {
        let (poll, asked_for) = (options.timing.poll, news.retry_after);
        options.schedule.wait_or(poll, waits, asked_for)
    });
    (payout.waits, payout.next_attempt_at) = (calls.waits, calls.due);
    let detail = news.detail.as_deref();
    payout.last_error = complaint(payout.last_error.take(), detail, news.learned, changes);
}

/// What the PSP takes for itself, where the payout is paid and that was not known yet.
fn newly_known_fee(
    before: &Payout,
    payout: &Payout,
    decision: &Decision,
    news: &News<'_>,
) -> Option<i64> {
    let is_paid = payout.status == super::PayoutStatus::Succeeded && decision.amiss.is_none();
    let transfer = news.transfer.as_ref().filter(|_| is_paid)?;
    transfer
        .fee
        .filter(|fee| *fee >= 0 && before.psp_fee.is_none())
}

/// The transactions of a movement, and of a fee that is known now. A transfer that comes back brings
/// its fee back, too.
fn postings(payout: &Payout, movement: Option<Movement>, fee: Option<i64>) -> Vec<Posting> {
    let (amount, currency) = (payout.amount, payout.currency);
    let available = || payout.merchant.wallet(Purse::Available);
    let posting = |name: &str| posting(payout, name);
    let psp = || house::psp(&payout.psp);
    let mut all = Vec::new();
    match movement {
        Some(Movement::Pay) => all.push(
            posting("succeeded")
                .leg(
                    house::payouts_in_transit(),
                    currency,
                    amount.saturating_neg(),
                )
                .leg(psp(), currency, amount),
        ),
        Some(Movement::GiveBack) => all.push(
            posting("failed")
                .leg(
                    house::payouts_in_transit(),
                    currency,
                    amount.saturating_neg(),
                )
                .leg(available(), currency, amount),
        ),
        Some(Movement::TakeBack) => all.push(
            posting("returned")
                .leg(psp(), currency, amount.saturating_neg())
                .leg(available(), currency, amount),
        ),
        None => {}
    }
    all.extend(fee.map(|fee| fee_moves(payout, "psp_fee", fee)));
    if movement == Some(Movement::TakeBack) {
        let returned = payout.psp_fee.map(i64::saturating_neg);
        all.extend(returned.map(|fee| fee_moves(payout, "psp_fee_returned", fee)));
    }
    all.retain(|posting| !posting.is_empty());
    all
}

fn posting(payout: &Payout, name: &str) -> Posting {
    Posting::new(&format!("payout:{}:{name}", payout.id)).with_details(details(payout))
}

/// What the PSP takes for a payout; below 0: gives back.
pub(super) fn fee_moves(payout: &Payout, name: &str, fee: i64) -> Posting {
    posting(payout, name)
        .leg(house::psp_fees(), payout.currency, fee.saturating_neg())
        .leg(house::psp(&payout.psp), payout.currency, fee)
}
