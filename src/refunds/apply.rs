//! Writing down what was learned of a refund of ours: how it stands, its money and its event in one
//! COMMIT.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::case::{Case, changed};
use super::{Applied, Refund, RefundError, Resolution, state};
use crate::event::EventType;
use crate::merchant::house;
use crate::postgres::discrepancies::{Finding, Sum};
use crate::postgres::refunds;
use crate::psp;
use crate::transit::{Calls, Decision, Learned, Movement, complaint, decide};

/// The PSP's last word on a refund that it refused after a call that may have sent it.
pub(super) const REFUSED: &str = "refused";

/// What was learned, and all that is written down with it.
#[derive(Clone, Debug)]
pub(super) struct News<'a> {
    pub(super) learned: Learned,
    /// The refund, where the PSP told of one.
    pub(super) entry: Option<psp::Refund>,
    /// When a call ended that may have sent it.
    pub(super) doubt: Option<OffsetDateTime>,
    /// In words, where something is not as it should be.
    pub(super) detail: Option<String>,
    /// When the PSP wants to be called again at the earliest.
    pub(super) retry_after: Option<Duration>,
    /// What a person said.
    pub(super) word: Option<Resolution>,
    /// The call that it was learned by has ended.
    pub(super) ends_sending: bool,
    /// Who found it: `webhook`, `query` or `person`.
    pub(super) source: &'a str,
}

impl<'a> News<'a> {
    pub(super) fn new(learned: Learned, source: &'a str) -> Self {
        Self {
            learned,
            entry: None,
            doubt: None,
            detail: None,
            retry_after: None,
            word: None,
            ends_sending: false,
            source,
        }
    }

    pub(super) fn seen(entry: &psp::Refund, source: &'a str) -> Self {
        Self {
            entry: Some(entry.clone()),
            ..Self::new(state::seen(entry), source)
        }
    }

    pub(super) fn because(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

impl Case<'_> {
    /// Decides on a refund of ours and writes down what follows: as it stands then.
    pub(super) async fn learn(
        &mut self,
        conn: &mut PgConnection,
        before: &Refund,
        news: &News<'_>,
    ) -> Result<(Refund, Applied), RefundError> {
        let decision = decide(state::known(before), news.learned);
        let mut refund = before.clone();
        self.take_in(&mut refund, &decision, news);
        if refund == *before && decision.amiss.is_none() {
            return Ok((refund, Applied::Ignored));
        }
        refund.updated_at = self.now;
        if !refunds::update(conn, self.ledger.id, before.status, &refund).await? {
            return Err(changed("refund", refund.id).into());
        }
        self.put(refund.clone());
        if let Some(movement) = decision.movement {
            self.settle(conn, &refund, movement).await?;
        }
        let changes = refund.status != before.status;
        if changes {
            let event_type = state::event(refund.status);
            self.tell_refund(conn, &refund, event_type).await?;
        }
        if decision.amiss.is_some() {
            self.disagree(conn, &refund, &decision, news).await?;
            return Ok((refund, Applied::Discrepancy));
        }
        let applied = match changes {
            true => Applied::Done,
            false => Applied::Ignored,
        };
        Ok((refund, applied))
    }

    /// Everything of the row.
    fn take_in(&self, refund: &mut Refund, decision: &Decision, news: &News<'_>) {
        let status = state::status(decision.standing);
        let changes = status != refund.status;
        refund.status = status;
        if let Some(entry) = &news.entry {
            refund.psp_status = Some(entry.status.as_str().to_owned());
            if refund.psp_id.is_none() {
                refund.psp_id.clone_from(&entry.id);
            }
        }
        if news.learned == Learned::Refused && refund.doubtful_until.is_some() {
            refund.psp_status = Some(REFUSED.to_owned());
        }
        refund.doubtful_until = refund.doubtful_until.max(news.doubt);
        if news.ends_sending {
            refund.sending_since = None;
        }
        if refund.resolution.is_none() {
            refund.resolution.clone_from(&news.word);
        }
        if matches!(news.learned, Learned::NotKnown { .. }) {
            refund.not_known_at = Some(self.now);
        }
        let before = Calls {
            waits: refund.waits,
            due: refund.next_attempt_at,
        };
        let options = self.options;
        let calls = decision.next.calls(before, self.now, |waits| {
            let (poll, asked_for) = (options.timing.poll, news.retry_after);
            options.schedule.wait_or(poll, waits, asked_for)
        });
        (refund.waits, refund.next_attempt_at) = (calls.waits, calls.due);
        let detail = news.detail.as_deref();
        refund.last_error = complaint(refund.last_error.take(), detail, news.learned, changes);
    }

    /// Takes the money out of transit.
    async fn settle(
        &mut self,
        conn: &mut PgConnection,
        refund: &Refund,
        movement: Movement,
    ) -> Result<(), RefundError> {
        let transit = house::refunds_in_transit();
        let (posting, event) = match movement {
            Movement::Pay => {
                let (amount, currency) = (refund.amount, refund.currency);
                let posting = self.posting(refund, "succeeded");
                let posting = posting.leg(transit, currency, amount.saturating_neg()).leg(
                    house::psp(&refund.psp),
                    currency,
                    amount,
                );
                (posting, Some(EventType::PaymentRefunded))
            }
            Movement::GiveBack => {
                let wallets = self.lock_wallets(conn).await?;
                (self.give_back(refund, &wallets, transit), None)
            }
            // The PSP has no word for it.
            Movement::TakeBack => {
                let told = format!("refund {} came back, which nothing here books", refund.id);
                return Err(sqlx::Error::Protocol(told).into());
            }
        };
        if let Err(rejection) = self.post(conn, posting).await? {
            let id = refund.id;
            return Err(RefundError::Refused { id, rejection });
        }
        self.write_payment(conn, event).await
    }

    async fn disagree(
        &self,
        conn: &mut PgConnection,
        refund: &Refund,
        decision: &Decision,
        news: &News<'_>,
    ) -> Result<(), RefundError> {
        let Some(class) = decision.amiss else {
            return Ok(());
        };
        let sum = |amount: i64, currency: crate::ledger::Currency| Sum {
            amount,
            currency: currency.code().to_owned(),
        };
        let (found, status) = (news.entry.as_ref(), refund.status.as_str());
        let word = found.map_or("not known", |entry| entry.status.as_str());
        let detail = format!(
            "refund {} of {} {} stands as {status}; the PSP says {word}{}",
            refund.id,
            refund.amount,
            refund.currency,
            found.map_or_else(String::new, |entry| format!(
                ", {} {}",
                entry.amount, entry.currency
            ))
        );
        // One finding for what the PSP says, however often it is heard.
        let amount = found.map_or(0, |entry| entry.amount);
        let identity = format!("refund:{}:{status}:{word}:{amount}", refund.id);
        let finding = Finding {
            class,
            source: news.source,
            identity: &identity,
            psp: Some(&refund.psp),
            reference: Some(&self.payment.reference),
            subject: Some(("refund", refund.id)),
            expected: Some(sum(refund.amount, refund.currency)),
            found: found.map(|entry| sum(entry.amount, entry.currency)),
            detail: &detail,
            occurred_at: None,
        };
        self.amiss(conn, &finding).await
    }
}
