//! What the PSP says of refunds: which of them are ours, and which were made there.
//!
//! | it has | it is |
//! |---|---|
//! | our id as its note | ours |
//! | an id of the PSP's that is known | that one |
//! | no note, and the sum of one of ours that may have been sent | that one: nothing is sent twice |
//! | anything else | made at the PSP |
//!
//! A webhook of Paystack's about a refund has neither id nor note. It has the PSP's list looked up. So
//! has an open dispute, now and then: its last webhook may be lost.

use std::collections::BTreeSet;
use std::time::Instant;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::apply::News;
use super::case::{Case, changed};
use super::{Applied, Options, Origin, Refund, RefundError, RefundStatus, apply_dispute};
use crate::event::EventType;
use crate::ledger::{Currency, Ledger, later, whole_microseconds};
use crate::merchant::house;
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::refunds::disputes;
use crate::postgres::refunds::lookups::{self, Lookup};
use crate::postgres::{atomically, payments, refunds};
use crate::psp::{self, Conclusion, Psp, PspError};

/// Takes in what a webhook says of a refund, within the caller's transaction. What doesn't say which
/// refund it means makes a look at the PSP's list due.
///
/// # Errors
/// [`RefundError`]; the transaction is then to be rolled back. [`RefundError::NotPaid`] and
/// [`RefundError::UnderWay`] pass by themselves: it is to be tried again.
pub async fn apply_refund(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    payment_id: Uuid,
    said: &psp::Refund,
    now: OffsetDateTime,
) -> Result<Applied, RefundError> {
    let mut case = Case::open(conn, options, ledger, payment_id, whole_microseconds(now)).await?;
    if !case.payment.status.is_paid() {
        return Err(RefundError::NotPaid(payment_id));
    }
    if said.id.is_none() && case.noted(said).is_none() {
        let psp = &case.payment.psp;
        lookups::wish(conn, ledger.id, payment_id, psp, case.now).await?;
        return Ok(Applied::Done);
    }
    let (applied, _) = case.take_in_entry(conn, said, "webhook").await?;
    Ok(applied)
}

/// Does one look at the PSP's list that is due: whether there was one.
///
/// # Errors
/// [`RefundError`]. Where the PSP does not answer, that is written down, and no error.
pub async fn look_up<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    now: OffsetDateTime,
) -> Result<bool, RefundError> {
    let now = whole_microseconds(now);
    // Two calls: for its refunds, and for its disputes.
    let lease_until = later(now, options.timing.lease.saturating_mul(2));
    let name = &options.psp_name;
    let taken: Result<_, RefundError> =
        atomically!(pool, |conn| take(conn, name, lease_until, now));
    let Some(look) = taken? else {
        return Ok(false);
    };
    let clock = Instant::now();
    let done = read(pool, options, psp, &look, now).await;
    let (lookup, now) = (look.lookup, later(now, clock.elapsed()));
    let wait = options
        .schedule
        .wait_or(options.timing.poll, lookup.waits, None);
    let again = Some(later(now, wait));
    let (next, told) = match done {
        Ok(Again::Never) => (None, None),
        Ok(Again::Soon) => (again, None),
        Ok(Again::WhileDisputed) => (Some(later(now, options.timing.disputes)), None),
        Err(error @ (RefundError::Database(_) | RefundError::Post(_))) => return Err(error),
        Err(error) => {
            let message = "a payment's refunds wait";
            match error {
                // That the PSP is left alone is told once, by its breaker.
                RefundError::Psp(PspError::TurnedAway(_)) => {
                    tracing::debug!(%error, payment = %lookup.payment_id, message);
                }
                _ => tracing::warn!(%error, payment = %lookup.payment_id, message),
            }
            (again, Some(error.to_string()))
        }
    };
    let put_back: Result<(), RefundError> =
        atomically!(pool, |conn| put_back(conn, &lookup, next, told.as_deref()));
    put_back?;
    Ok(true)
}

/// A look that is taken.
#[derive(Debug)]
struct Look {
    lookup: Lookup,
    /// The PSP's id of the payment.
    psp_id: String,
    is_disputed: bool,
}

/// When the lists are to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    /// Something of it is not at its end there.
    Soon,
    /// Only a dispute is.
    WhileDisputed,
}

async fn take(
    conn: &mut PgConnection,
    psp: &str,
    lease_until: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Option<Look>, RefundError> {
    let Some(lookup) = lookups::take(conn, psp, lease_until, now).await? else {
        return Ok(None);
    };
    let (ledger, payment) = (lookup.ledger.id, lookup.payment_id);
    let found = payments::find(conn, ledger, payment).await?;
    Ok(Some(Look {
        is_disputed: disputes::has_open(conn, ledger, payment).await?,
        psp_id: found.and_then(|payment| payment.psp_id).unwrap_or_default(),
        lookup,
    }))
}

async fn put_back(
    conn: &mut PgConnection,
    lookup: &Lookup,
    next: Option<OffsetDateTime>,
    told: Option<&str>,
) -> Result<(), RefundError> {
    Ok(lookups::put_back(conn, lookup, next, told).await?)
}

/// Reads both lists. What goes wrong with one does not hold up what the other one says.
async fn read<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    look: &Look,
    now: OffsetDateTime,
) -> Result<Again, RefundError> {
    let clock = Instant::now();
    let refunds = read_refunds(pool, options, psp, look, now).await;
    let now = later(now, clock.elapsed());
    let disputes = match look.is_disputed {
        true => read_disputes(pool, options, psp, look, now).await,
        false => Ok(false),
    };
    let waits = refunds? | disputes?;
    let lookup = &look.lookup;
    atomically!(pool, |conn| again(conn, options, lookup, waits, now))
}

/// Whether something of it waits for a refund that is on its way.
async fn read_refunds<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    look: &Look,
    now: OffsetDateTime,
) -> Result<bool, RefundError> {
    let clock = Instant::now();
    let list = psp.refunds_of(&look.psp_id).await?;
    let (lookup, now) = (&look.lookup, later(now, clock.elapsed()));
    atomically!(pool, |conn| take_in(conn, options, lookup, &list, now))
}

async fn take_in(
    conn: &mut PgConnection,
    options: &Options,
    lookup: &Lookup,
    list: &[psp::Refund],
    now: OffsetDateTime,
) -> Result<bool, RefundError> {
    let (ledger, id) = (&lookup.ledger, lookup.payment_id);
    let mut case = Case::open(conn, options, ledger, id, now).await?;
    Ok(case.take_in_list(conn, list).await?.waits)
}

/// Whether something of it waits for a refund that is on its way. Each dispute is taken in by itself.
async fn read_disputes<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    look: &Look,
    now: OffsetDateTime,
) -> Result<bool, RefundError> {
    let clock = Instant::now();
    let list = psp.disputes_of(&look.psp_id).await?;
    let now = later(now, clock.elapsed());
    let (ledger, id) = (&look.lookup.ledger, look.lookup.payment_id);
    let mut waits = Ok(false);
    for said in &list {
        let applied = atomically!(pool, |conn| apply_dispute(
            conn, options, ledger, id, said, "query", now
        ));
        match applied {
            Ok(_) => {}
            Err(RefundError::UnderWay(_)) => waits = waits.map(|_| true),
            Err(error) => waits = Err(error),
        }
    }
    waits
}

async fn again(
    conn: &mut PgConnection,
    options: &Options,
    lookup: &Lookup,
    waits: bool,
    now: OffsetDateTime,
) -> Result<Again, RefundError> {
    let (ledger, id) = (&lookup.ledger, lookup.payment_id);
    let case = Case::open(conn, options, ledger, id, now).await?;
    let is_unended = |refund: &Refund| {
        let word = refund
            .psp_status
            .as_deref()
            .map(psp::RefundStatus::from_word);
        refund.origin == Origin::Psp
            && word.is_some_and(|word| word.conclusion() == Conclusion::Open)
    };
    if waits || case.refunds.iter().any(is_unended) {
        return Ok(Again::Soon);
    }
    Ok(match disputes::has_open(conn, ledger.id, id).await? {
        true => Again::WhileDisputed,
        false => Again::Never,
    })
}

/// What came of a list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The refunds of ours that are in it.
    pub(super) ours: BTreeSet<Uuid>,
    /// Something in it has no room before a refund of ours that is on its way has ended.
    pub(super) waits: bool,
}

impl Case<'_> {
    /// Takes in all that the PSP lists and that there is room for.
    pub(super) async fn take_in_list(
        &mut self,
        conn: &mut PgConnection,
        list: &[psp::Refund],
    ) -> Result<Listed, RefundError> {
        let mut listed = Listed::default();
        for entry in list {
            match self.take_in_entry(conn, entry, "query").await {
                Ok((_, ours)) => listed.ours.extend(ours),
                // Nothing of it was done; it holds up no other, least of all the one it waits for.
                Err(RefundError::UnderWay(_)) => listed.waits = true,
                Err(error) => return Err(error),
            }
        }
        Ok(listed)
    }

    /// Takes in one refund that the PSP tells of, and which of ours it is.
    async fn take_in_entry(
        &mut self,
        conn: &mut PgConnection,
        entry: &psp::Refund,
        source: &str,
    ) -> Result<(Applied, Option<Uuid>), RefundError> {
        let noted = self.noted(entry).cloned();
        let is_second = noted.as_ref().is_some_and(|refund| {
            let known = refund.psp_id.as_ref().zip(entry.id.as_ref());
            known.is_some_and(|(known, new)| known != new)
        });
        if is_second {
            let applied = self.made_there(conn, entry, source).await?;
            if applied == Applied::Done {
                self.finding(conn, Class::Duplicate, entry, source).await?;
            }
            return Ok((applied, None));
        }
        match noted.or_else(|| self.matching(entry).cloned()) {
            Some(ours) => {
                let news = News::seen(entry, source);
                let (_, applied) = self.learn(conn, &ours, &news).await?;
                Ok((applied, Some(ours.id)))
            }
            None => Ok((self.made_there(conn, entry, source).await?, None)),
        }
    }

    /// The refund of ours whose id is the note.
    fn noted(&self, entry: &psp::Refund) -> Option<&Refund> {
        let id: Uuid = entry.merchant_note.as_deref()?.trim().parse().ok()?;
        let ours = |refund: &&Refund| refund.id == id && refund.origin == Origin::Request;
        self.refunds.iter().find(ours)
    }

    fn matching(&self, entry: &psp::Refund) -> Option<&Refund> {
        let mut ours = self
            .refunds
            .iter()
            .filter(|refund| refund.origin == Origin::Request);
        let known = |refund: &&Refund| entry.id.is_some() && refund.psp_id == entry.id;
        if let Some(known) = ours.clone().find(known) {
            return Some(known);
        }
        let is_there_already = self.made_at_psp(entry).is_some();
        let has_note = entry
            .merchant_note
            .as_deref()
            .is_some_and(|n| !n.trim().is_empty());
        if is_there_already || has_note {
            return None;
        }
        ours.find(|refund| {
            let may_be_there = refund.doubtful_until.is_some() || refund.sending_since.is_some();
            refund.status.is_open()
                && may_be_there
                && refund.psp_id.is_none()
                && (refund.amount, refund.currency) == (entry.amount, entry.currency)
        })
    }

    fn made_at_psp(&self, entry: &psp::Refund) -> Option<&Refund> {
        let id = entry.id.as_ref()?;
        let there =
            |refund: &&Refund| refund.origin == Origin::Psp && refund.psp_id.as_ref() == Some(id);
        self.refunds.iter().find(there)
    }

    /// Books a refund that was made at the PSP, as it happened.
    async fn made_there(
        &mut self,
        conn: &mut PgConnection,
        entry: &psp::Refund,
        source: &str,
    ) -> Result<Applied, RefundError> {
        if let Some(known) = self.made_at_psp(entry).cloned() {
            return self.heard_again(conn, known, entry, source).await;
        }
        if entry.currency != self.payment.currency {
            return self.finding(conn, Class::Currency, entry, source).await;
        }
        let mut refund = Refund {
            psp_id: entry.id.clone(),
            psp_status: Some(entry.status.as_str().to_owned()),
            ..self.blank(Origin::Psp, entry.amount)
        };
        if entry.status.conclusion() == Conclusion::Undone {
            if entry.amount <= 0 {
                return Ok(Applied::Ignored);
            }
            // Written down, so that older news of it move nothing.
            refund.status = RefundStatus::Failed;
            refunds::insert(conn, self.ledger.id, &refund, None).await?;
            self.put(refund);
            return Ok(Applied::Ignored);
        }
        if entry.amount <= 0 || entry.amount > self.left() {
            if self.has_open() && entry.amount > 0 && entry.amount <= self.payment.amount {
                return Err(RefundError::UnderWay(self.payment.id));
            }
            return self.finding(conn, Class::Amount, entry, source).await;
        }
        // It is the merchant's wish, wherever it was made: no chargeback, and no penalty of one.
        let terms = *self.terms.refund();
        self.book(conn, refund, &terms).await?;
        self.write_payment(conn, Some(EventType::PaymentRefunded))
            .await?;
        Ok(Applied::Done)
    }

    /// Books what happened at the PSP: money, row and event. The payment's row is the caller's.
    pub(super) async fn book(
        &mut self,
        conn: &mut PgConnection,
        mut refund: Refund,
        terms: &crate::terms::ReversalTerms,
    ) -> Result<Uuid, RefundError> {
        let (id, wallets) = (refund.id, self.lock_wallets(conn).await?);
        refund.borne = self.borne(terms, refund.amount, &wallets)?;
        let posting = self.take(&refund, "booked", house::psp(&refund.psp));
        if let Err(rejection) = self.post(conn, posting).await? {
            return Err(RefundError::Refused { id, rejection });
        }
        refunds::insert(conn, self.ledger.id, &refund, None).await?;
        self.put(refund.clone());
        self.tell_refund(conn, &refund, EventType::RefundSucceeded)
            .await?;
        Ok(id)
    }

    /// News of a refund that was made at the PSP and is known.
    async fn heard_again(
        &mut self,
        conn: &mut PgConnection,
        mut refund: Refund,
        entry: &psp::Refund,
        source: &str,
    ) -> Result<Applied, RefundError> {
        if entry.currency != refund.currency {
            return self.finding(conn, Class::Currency, entry, source).await;
        }
        if entry.amount != refund.amount {
            return self.finding(conn, Class::Amount, entry, source).await;
        }
        let word = refund
            .psp_status
            .as_deref()
            .map(psp::RefundStatus::from_word);
        let before = word.map_or(Conclusion::Open, |word| word.conclusion());
        match (before, entry.status.conclusion()) {
            (Conclusion::Open, Conclusion::Done | Conclusion::Open) => {}
            (Conclusion::Open, Conclusion::Undone) => {
                return self.undo(conn, refund, entry).await;
            }
            (Conclusion::Done, Conclusion::Undone) | (Conclusion::Undone, Conclusion::Done) => {
                return self.finding(conn, Class::Status, entry, source).await;
            }
            _ => return Ok(Applied::Ignored),
        }
        if refund.psp_status.as_deref() == Some(entry.status.as_str()) {
            return Ok(Applied::Ignored);
        }
        refund.psp_status = Some(entry.status.as_str().to_owned());
        refund.updated_at = self.now;
        refunds::update(conn, self.ledger.id, refund.status, &refund).await?;
        self.put(refund);
        Ok(Applied::Ignored)
    }

    /// A refund that was made at the PSP, and booked, came to nothing.
    async fn undo(
        &mut self,
        conn: &mut PgConnection,
        mut refund: Refund,
        entry: &psp::Refund,
    ) -> Result<Applied, RefundError> {
        let (id, before) = (refund.id, refund.status);
        refund.status = RefundStatus::Failed;
        refund.psp_status = Some(entry.status.as_str().to_owned());
        refund.updated_at = self.now;
        let wallets = self.lock_wallets(conn).await?;
        let posting = self.give_back(&refund, &wallets, house::psp(&refund.psp));
        if let Err(rejection) = self.post(conn, posting).await? {
            return Err(RefundError::Refused { id, rejection });
        }
        if !refunds::update(conn, self.ledger.id, before, &refund).await? {
            return Err(changed("refund", id).into());
        }
        self.put(refund.clone());
        self.write_payment(conn, Some(EventType::PaymentRefunded))
            .await?;
        self.tell_refund(conn, &refund, EventType::RefundFailed)
            .await?;
        Ok(Applied::Done)
    }

    /// What the PSP tells of a refund that was made there does not fit.
    async fn finding(
        &self,
        conn: &mut PgConnection,
        class: Class,
        entry: &psp::Refund,
        source: &str,
    ) -> Result<Applied, RefundError> {
        let sum = |amount: i64, currency: Currency| Sum {
            amount,
            currency: currency.code().to_owned(),
        };
        let payment = &self.payment;
        let id = entry.id.as_deref().unwrap_or("without an id");
        let detail = format!(
            "the PSP tells of refund {id} of {} {}, {}; of payment {}, {} of {} {} are left",
            entry.amount,
            entry.currency,
            entry.status,
            payment.id,
            self.left(),
            payment.amount,
            payment.currency
        );
        let status = entry.status.as_str();
        let identity = format!("{}:refund:{id}:{status}:{}", payment.psp, entry.amount);
        let finding = Finding {
            class,
            source,
            identity: &identity,
            psp: Some(&payment.psp),
            reference: Some(&payment.reference),
            subject: Some(("payment", payment.id)),
            expected: Some(sum(self.left(), payment.currency)),
            found: Some(sum(entry.amount, entry.currency)),
            detail: &detail,
            occurred_at: None,
        };
        self.amiss(conn, &finding).await?;
        Ok(Applied::Discrepancy)
    }
}
