//! Chargebacks.

use time::OffsetDateTime;

use super::{Account, Books, DisputeRecord, Entry, EntryKind, Happened, No};
use crate::psp::DisputeStatus;

/// How a dispute ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The merchant accepts: the money goes back to the customer.
    MerchantAccepted,
    /// The merchant didn't answer in time: as accepted.
    AutoAccepted,
    /// The merchant was right: the money stays.
    Declined,
}

impl Resolution {
    /// In the provider's words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MerchantAccepted => "merchant-accepted",
            Self::AutoAccepted => "auto-accepted",
            Self::Declined => "declined",
        }
    }
}

impl Books {
    /// A customer complains about a payment: about all of it, or a part.
    ///
    /// # Errors
    /// Where it is not paid, or less of it is left.
    pub fn open_dispute(
        &mut self,
        reference: &str,
        amount: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<&DisputeRecord, No> {
        let payment = self.payment(reference)?.clone();
        if payment.paid_at.is_none() {
            return Err(No::not_paid());
        }
        let left = payment.amount.saturating_sub(payment.given_back);
        let amount = amount.unwrap_or(left);
        if amount <= 0 || amount > left {
            return Err(No::refund_too_large());
        }
        let id = self.next_id();
        let record = DisputeRecord {
            id,
            payment_reference: reference.to_owned(),
            amount,
            currency: payment.currency,
            status: DisputeStatus::AwaitingMerchantFeedback,
            resolution: None,
            created_at: now,
        };
        let told = Happened::Dispute("charge.dispute.create", record.clone(), payment);
        self.happened.push(told);
        Ok(self.disputes.entry(id).or_insert(record))
    }

    /// All disputes about a payment, by its reference.
    pub fn disputes_of<'a>(
        &'a self,
        reference: &'a str,
    ) -> impl Iterator<Item = &'a DisputeRecord> {
        let disputes = self.disputes.values();
        disputes.filter(move |dispute| dispute.payment_reference == reference)
    }

    /// A dispute ends. Where the merchant loses, the money is taken from the balance, which may go
    /// below zero by it.
    ///
    /// # Errors
    /// Where it has ended already, or less of the payment is left by now.
    pub fn resolve_dispute(
        &mut self,
        id: u64,
        resolution: Resolution,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        let dispute = self
            .disputes
            .get(&id)
            .ok_or_else(No::dispute_not_found)?
            .clone();
        if dispute.status == DisputeStatus::Resolved {
            return Err(No::not_under_way());
        }
        let reference = dispute.payment_reference.as_str();
        if resolution != Resolution::Declined {
            let payment = self.payment(reference)?;
            if payment.amount.saturating_sub(payment.given_back) < dispute.amount {
                return Err(No::refund_too_large());
            }
            self.journal.post(Entry {
                id,
                at: now,
                kind: EntryKind::Chargeback,
                reference: reference.to_owned(),
                currency: dispute.currency,
                postings: vec![
                    (Account::Balance, -dispute.amount),
                    (Account::Customers, dispute.amount),
                ],
            })?;
            self.give_back(reference, dispute.amount);
        }
        let payment = self.payment(reference)?.clone();
        if let Some(dispute) = self.disputes.get_mut(&id) {
            dispute.status = DisputeStatus::Resolved;
            dispute.resolution = Some(resolution.as_str());
            let dispute = dispute.clone();
            self.happened.push(Happened::Dispute(
                "charge.dispute.resolve",
                dispute,
                payment,
            ));
        }
        Ok(())
    }
}
