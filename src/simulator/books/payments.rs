//! Money in.

use time::OffsetDateTime;

use super::{Account, Books, Entry, EntryKind, Happened, No, PaymentRecord};
use crate::psp::paystack::payment_reference_problem;
use crate::psp::{NewPayment, PaymentStatus};

impl Books {
    /// Opens a payment.
    ///
    /// # Errors
    /// Where the reference was used before, or something in it is not allowed.
    pub fn initialize(
        &mut self,
        payment: &NewPayment,
        now: OffsetDateTime,
    ) -> Result<&PaymentRecord, No> {
        if self.payments.contains_key(&payment.reference) {
            return Err(No::duplicate_payment());
        }
        if payment_reference_problem(&payment.reference).is_some() {
            return Err(No::payment_reference());
        }
        let is_email = payment.email.split_once('@');
        if is_email.is_none_or(|(who, host)| who.is_empty() || host.is_empty()) {
            return Err(No::email());
        }
        if payment.amount <= 0 {
            return Err(No::amount());
        }
        let id = self.next_id();
        let record = PaymentRecord {
            id,
            reference: payment.reference.clone(),
            email: payment.email.clone(),
            requested_amount: payment.amount,
            amount: payment.amount,
            currency: payment.currency,
            status: PaymentStatus::Abandoned,
            fee: None,
            given_back: 0,
            created_at: now,
            paid_at: None,
            callback_url: payment.callback_url.clone(),
            metadata: match &payment.metadata {
                Some(metadata) => serde_json::Value::Object(metadata.clone()),
                None => serde_json::Value::String(String::new()),
            },
        };
        self.payment_ids.insert(id, payment.reference.clone());
        Ok(self
            .payments
            .entry(payment.reference.clone())
            .or_insert(record))
    }

    /// A payment by its reference.
    ///
    /// # Errors
    /// Where there is none.
    pub fn payment(&self, reference: &str) -> Result<&PaymentRecord, No> {
        self.payments
            .get(reference)
            .ok_or_else(No::payment_not_found)
    }

    /// A payment by its reference or its number, as refunds name it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn payment_by_any(&self, name: &str) -> Result<&PaymentRecord, No> {
        let by_number = name
            .parse()
            .ok()
            .and_then(|id: u64| self.payment_ids.get(&id));
        self.payment(by_number.map_or(name, String::as_str))
    }

    /// The customer pays: what was asked for, or another amount.
    ///
    /// # Errors
    /// Where it was paid already.
    pub fn pay(
        &mut self,
        reference: &str,
        amount: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        let payment = self.unpaid(reference)?;
        let amount = amount.unwrap_or(payment.requested_amount);
        if amount <= 0 {
            return Err(No::amount());
        }
        let fee = self.fees.of_payment(amount, payment.currency);
        self.journal.post(Entry {
            id: payment.id,
            at: now,
            kind: EntryKind::Payment,
            reference: reference.to_owned(),
            currency: payment.currency,
            postings: vec![
                (Account::Customers, -amount),
                (Account::Fees, fee),
                (Account::Balance, amount.saturating_sub(fee)),
            ],
        })?;
        if let Some(payment) = self.payments.get_mut(reference) {
            payment.status = PaymentStatus::Success;
            payment.amount = amount;
            payment.fee = Some(fee);
            payment.paid_at = Some(now);
            let told = Happened::Payment("charge.success", payment.clone());
            self.happened.push(told);
        }
        Ok(())
    }

    /// The customer's attempt fails. No webhook tells of it: Paystack documents none.
    ///
    /// # Errors
    /// Where it was paid already.
    pub fn fail_payment(&mut self, reference: &str) -> Result<(), No> {
        self.leave_unpaid(reference, PaymentStatus::Failed)
    }

    /// The customer goes away.
    ///
    /// # Errors
    /// Where it was paid already.
    pub fn abandon_payment(&mut self, reference: &str) -> Result<(), No> {
        self.leave_unpaid(reference, PaymentStatus::Abandoned)
    }

    fn leave_unpaid(&mut self, reference: &str, status: PaymentStatus) -> Result<(), No> {
        self.unpaid(reference)?;
        if let Some(payment) = self.payments.get_mut(reference) {
            payment.status = status;
        }
        Ok(())
    }

    fn unpaid(&self, reference: &str) -> Result<&PaymentRecord, No> {
        let payment = self.payment(reference)?;
        match payment.paid_at {
            None => Ok(payment),
            Some(_) => Err(No::already_paid()),
        }
    }
}
