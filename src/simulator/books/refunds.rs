//! Money given back.

use time::OffsetDateTime;

use super::{Account, Books, Entry, EntryKind, Happened, No, RefundRecord};
use crate::psp::{NewRefund, PaymentStatus, RefundStatus};

impl Books {
    /// Begins a refund: it is pending, and its money has left the balance.
    ///
    /// # Errors
    /// Where the payment is not paid, less of it is left, or the balance is too low.
    pub fn refund(&mut self, new: &NewRefund, now: OffsetDateTime) -> Result<&RefundRecord, No> {
        let payment = self.payment(&new.payment_reference)?;
        if payment.paid_at.is_none() {
            return Err(No::not_paid());
        }
        let left = payment.amount.saturating_sub(payment.given_back);
        if left <= 0 {
            return Err(No::fully_reversed());
        }
        if new.amount <= 0 {
            return Err(No::amount());
        }
        if new.amount > left || new.currency != payment.currency {
            return Err(No::refund_too_large());
        }
        if self.balance(new.currency) < new.amount {
            return Err(No::low_balance_for_refund());
        }
        let payment_id = payment.id;
        let id = self.next_id();
        let record = RefundRecord {
            id,
            payment_id,
            payment_reference: new.payment_reference.clone(),
            amount: new.amount,
            currency: new.currency,
            status: RefundStatus::Pending,
            customer_note: new.customer_note.clone(),
            merchant_note: new.merchant_note.clone(),
            created_at: now,
        };
        let (from, to) = (Account::Balance, Account::RefundsInTransit);
        self.move_refund(&record, EntryKind::Refund, from, to, now)?;
        self.give_back(&new.payment_reference, new.amount);
        self.happened
            .push(Happened::Refund("refund.pending", record.clone()));
        Ok(self.refunds.entry(id).or_insert(record))
    }

    /// A refund by its number.
    ///
    /// # Errors
    /// Where there is none.
    pub fn refund_of(&self, id: u64) -> Result<&RefundRecord, No> {
        self.refunds.get(&id).ok_or_else(No::refund_not_found)
    }

    /// All refunds of a payment, by the payment's number.
    #[must_use]
    pub fn refunds_of(&self, payment_id: u64) -> Vec<&RefundRecord> {
        let refunds = self.refunds.values();
        refunds
            .filter(|refund| refund.payment_id == payment_id)
            .collect()
    }

    /// A pending refund arrives, or fails.
    ///
    /// # Errors
    /// Where it is not pending.
    pub fn settle_refund(
        &mut self,
        id: u64,
        processed: bool,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        let refund = self.refund_of(id)?.clone();
        if refund.status != RefundStatus::Pending {
            return Err(No::not_under_way());
        }
        let (kind, to, status, told) = match processed {
            true => (
                EntryKind::RefundProcessed,
                Account::Customers,
                RefundStatus::Processed,
                "refund.processed",
            ),
            false => (
                EntryKind::RefundReturn,
                Account::Balance,
                RefundStatus::Failed,
                "refund.failed",
            ),
        };
        self.move_refund(&refund, kind, Account::RefundsInTransit, to, now)?;
        if !processed {
            self.give_back(&refund.payment_reference, -refund.amount);
        }
        if let Some(refund) = self.refunds.get_mut(&id) {
            refund.status = status;
            let refund = refund.clone();
            self.happened.push(Happened::Refund(told, refund));
        }
        Ok(())
    }

    /// Counts what was given back of a payment, and turns its status where that is all.
    pub(super) fn give_back(&mut self, reference: &str, amount: i64) {
        if let Some(payment) = self.payments.get_mut(reference) {
            payment.given_back = payment.given_back.saturating_add(amount);
            payment.status = match payment.given_back >= payment.amount {
                true => PaymentStatus::Reversed,
                false => PaymentStatus::Success,
            };
        }
    }

    fn move_refund(
        &mut self,
        refund: &RefundRecord,
        kind: EntryKind,
        from: Account,
        to: Account,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        self.journal.post(Entry {
            id: refund.id,
            at: now,
            kind,
            reference: refund.payment_reference.clone(),
            currency: refund.currency,
            postings: vec![(from, -refund.amount), (to, refund.amount)],
        })
    }
}
