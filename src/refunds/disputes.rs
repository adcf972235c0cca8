//! Disputes: a payment is disputed until they are decided, and one that is lost is a chargeback.
//!
//! | it is | the PSP says | what follows |
//! |---|---|---|
//! | new | open | the payment is disputed |
//! | new, open | won | the payment is what it was |
//! | new, open | lost | the chargeback is booked |
//! | won, lost | open, or the same | nothing |
//! | won, lost | the other | a discrepancy |
//! | new | in a state that is none of these, such as `archived` | nothing |
//! | open | the same | a discrepancy |
//! | any | another sum or currency than can be, or words that are new | a discrepancy |

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case::Case;
use super::{Applied, Options, Origin, Refund, RefundError};
use crate::event::EventType;
use crate::ledger::{Currency, Ledger, later, whole_microseconds};
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::refunds::disputes::{self, Dispute, DisputeState};
use crate::postgres::refunds::lookups;
use crate::psp::{self, DisputeStatus};

/// Takes in what the PSP says of a dispute, within the caller's transaction: in any order, and however
/// often it comes. `source`: by what we know, `webhook` or `query`.
///
/// # Errors
/// [`RefundError`]; the transaction is then to be rolled back. [`RefundError::NotPaid`] and
/// [`RefundError::UnderWay`] pass by themselves: it is to be tried again.
pub async fn apply_dispute(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    payment_id: Uuid,
    said: &psp::Dispute,
    source: &str,
    now: OffsetDateTime,
) -> Result<Applied, RefundError> {
    let mut case = Case::open(conn, options, ledger, payment_id, whole_microseconds(now)).await?;
    if !case.payment.status.is_paid() {
        return Err(RefundError::NotPaid(payment_id));
    }
    let psp = case.payment.psp.clone();
    let known = disputes::lock(conn, ledger.id, &psp, &said.id).await?;
    if let Some(class) = misfit(&case, known.as_ref(), said) {
        return case.disagree_on(conn, class, said, source).await;
    }
    let before = known.as_ref().map(|dispute| dispute.state);
    let state = match (before, said.is_lost()) {
        (Some(DisputeState::Won), Some(true)) | (Some(DisputeState::Lost), Some(false)) => {
            return case.disagree_on(conn, Class::Status, said, source).await;
        }
        (Some(DisputeState::Won | DisputeState::Lost), _) => return Ok(Applied::Ignored),
        (_, Some(true)) => DisputeState::Lost,
        (_, Some(false)) => DisputeState::Won,
        // A word that is new says neither that it is open nor how it ended.
        (Some(DisputeState::Open), None) if is_other(&said.status) => {
            return case.disagree_on(conn, Class::Status, said, source).await;
        }
        (None, None) if is_other(&said.status) => return Ok(Applied::Ignored),
        (Some(DisputeState::Open), None) => return Ok(Applied::Ignored),
        (None, None) => DisputeState::Open,
    };
    let mut dispute = known.unwrap_or_else(|| Dispute {
        psp,
        psp_id: said.id.clone(),
        payment_id,
        amount: None,
        category: said.category.clone(),
        state,
        refund_id: None,
    });
    dispute.state = state;
    dispute.amount = said.refund_amount.or(dispute.amount);
    if state == DisputeState::Lost {
        let amount = dispute.amount.unwrap_or_else(|| case.left());
        if amount <= 0 || amount > case.left() {
            if case.has_open() && amount > 0 {
                return Err(RefundError::UnderWay(payment_id));
            }
            return case.disagree_on(conn, Class::Amount, said, source).await;
        }
        dispute.amount = Some(amount);
        dispute.refund_id = Some(case.charge_back(conn, said, amount).await?);
    }
    disputes::put(conn, ledger.id, &dispute, case.now).await?;
    if state == DisputeState::Open {
        // The webhook that tells of its end may be lost.
        let (psp, at) = (&dispute.psp, later(case.now, options.timing.disputes));
        lookups::wish(conn, ledger.id, payment_id, psp, at).await?;
    }
    let event = match state {
        DisputeState::Lost => EventType::PaymentRefunded,
        DisputeState::Open | DisputeState::Won => EventType::PaymentDisputed,
    };
    // One that was over when it was first heard of, and won, leaves the payment as it is.
    let is_news = before.is_some() || state != DisputeState::Won;
    case.write_payment(conn, is_news.then_some(event)).await?;
    Ok(Applied::Done)
}

fn is_other(status: &DisputeStatus) -> bool {
    matches!(status, DisputeStatus::Other(_))
}

/// What can't be, whatever came before.
fn misfit(case: &Case<'_>, known: Option<&Dispute>, said: &psp::Dispute) -> Option<Class> {
    let payment = &case.payment;
    let refund_amount = said.refund_amount.unwrap_or_default();
    if said.currency != payment.currency {
        return Some(Class::Currency);
    }
    if said.payment_amount != payment.amount || !(0..=payment.amount).contains(&refund_amount) {
        return Some(Class::Amount);
    }
    if known.is_some_and(|dispute| dispute.payment_id != payment.id) {
        return Some(Class::Duplicate);
    }
    // Decided, in words that are new.
    (said.status == DisputeStatus::Resolved && said.is_lost().is_none()).then_some(Class::Status)
}

impl Case<'_> {
    async fn charge_back(
        &mut self,
        conn: &mut PgConnection,
        said: &psp::Dispute,
        amount: i64,
    ) -> Result<Uuid, RefundError> {
        let refund = Refund {
            psp_id: Some(said.id.clone()),
            psp_status: said.resolution.clone(),
            ..self.blank(Origin::Chargeback, amount)
        };
        let terms = *self.terms.chargeback();
        self.book(conn, refund, &terms).await
    }

    async fn disagree_on(
        &self,
        conn: &mut PgConnection,
        class: Class,
        said: &psp::Dispute,
        source: &str,
    ) -> Result<Applied, RefundError> {
        let sum = |amount: i64, currency: Currency| Sum {
            amount,
            currency: currency.code().to_owned(),
        };
        let payment = &self.payment;
        let words = said.resolution.as_deref().unwrap_or("no resolution");
        let amount = said.refund_amount.unwrap_or(said.payment_amount);
        let detail = format!(
            "the PSP tells of dispute {}, {} with {words}, about {amount} {} of a payment of {}; \
             of payment {}, {} of {} {} are left",
            said.id,
            said.status,
            said.currency,
            said.payment_amount,
            payment.id,
            self.left(),
            payment.amount,
            payment.currency
        );
        let (psp, id, status) = (&payment.psp, &said.id, &said.status);
        let identity = format!("{psp}:dispute:{id}:{status}:{words}:{amount}");
        let finding = Finding {
            class,
            source,
            identity: &identity,
            psp: Some(psp),
            reference: Some(&payment.reference),
            subject: Some(("payment", payment.id)),
            expected: Some(sum(self.left(), payment.currency)),
            found: Some(sum(amount, said.currency)),
            detail: &detail,
            occurred_at: None,
        };
        self.amiss(conn, &finding).await?;
        Ok(Applied::Discrepancy)
    }
}
