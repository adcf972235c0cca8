//! Money out.

use time::OffsetDateTime;

use super::{Account, Books, Entry, EntryKind, Happened, No, RecipientRecord, TransferRecord};
use crate::psp::paystack::transfer_reference_problem;
use crate::psp::{Destination, NewRecipient, NewTransfer, TransferStatus};

impl Books {
    /// Makes an account known. The same one again has the same code, as at Paystack.
    ///
    /// # Errors
    /// Where it has no account.
    pub fn add_recipient(
        &mut self,
        new: &NewRecipient,
        now: OffsetDateTime,
    ) -> Result<&RecipientRecord, No> {
        let (kind, account, bank_code) = match &new.destination {
            Destination::Account {
                kind,
                account_number,
                bank_code,
            } => (kind.as_str(), account_number, Some(bank_code.clone())),
            Destination::Authorization { code } => ("authorization", code, None),
        };
        if account.is_empty() {
            return Err(No::recipient_account());
        }
        let same = self.recipients.values().find(|known| {
            known.account == *account && known.bank_code == bank_code && known.kind == kind
        });
        let code = match same {
            Some(known) => known.code.clone(),
            None => {
                let id = self.next_id();
                let record = RecipientRecord {
                    id,
                    code: format!("RCP_{id:012x}"),
                    kind: kind.to_owned(),
                    name: new.name.clone(),
                    account: account.clone(),
                    bank_code,
                    currency: new.currency,
                    created_at: now,
                };
                let code = record.code.clone();
                self.recipients.insert(code.clone(), record);
                code
            }
        };
        self.recipient(&code)
    }

    /// A recipient by its code.
    ///
    /// # Errors
    /// Where there is none.
    pub fn recipient(&self, code: &str) -> Result<&RecipientRecord, No> {
        self.recipients.get(code).ok_or_else(No::recipient)
    }

    /// Begins a transfer: it is pending, and its money has left the balance.
    ///
    /// # Errors
    /// Where the reference was used before, nobody is meant, or the balance is too low.
    pub fn transfer(
        &mut self,
        new: &NewTransfer,
        now: OffsetDateTime,
    ) -> Result<&TransferRecord, No> {
        if self.transfers.contains_key(&new.reference) {
            return Err(No::duplicate_transfer());
        }
        if transfer_reference_problem(&new.reference).is_some() {
            return Err(No::transfer_reference());
        }
        if new.amount <= 0 {
            return Err(No::amount());
        }
        self.recipient(&new.recipient)?;
        let fee = self.fees.of_transfer(new.amount, new.currency);
        let whole = new.amount.checked_add(fee);
        let whole = whole.ok_or_else(No::amount_out_of_range)?;
        if self.balance(new.currency) < whole {
            return Err(No::low_balance());
        }
        let id = self.next_id();
        let record = TransferRecord {
            id,
            code: format!("TRF_{id:012x}"),
            reference: new.reference.clone(),
            amount: new.amount,
            fee,
            currency: new.currency,
            recipient: new.recipient.clone(),
            reason: new.reason.clone(),
            status: TransferStatus::Pending,
            created_at: now,
            updated_at: now,
        };
        let postings = vec![
            (Account::Balance, -whole),
            (Account::Fees, fee),
            (Account::TransfersInTransit, new.amount),
        ];
        self.move_transfer(&record, EntryKind::Transfer, postings, now)?;
        Ok(self
            .transfers
            .entry(new.reference.clone())
            .or_insert(record))
    }

    /// A transfer by its reference.
    ///
    /// # Errors
    /// Where there is none.
    pub fn transfer_of(&self, reference: &str) -> Result<&TransferRecord, No> {
        self.transfers
            .get(reference)
            .ok_or_else(No::transfer_not_found)
    }

    /// A pending transfer arrives.
    ///
    /// # Errors
    /// Where it is not pending.
    pub fn succeed_transfer(&mut self, reference: &str, now: OffsetDateTime) -> Result<(), No> {
        let transfer = self.in_status(reference, &[TransferStatus::Pending])?;
        let postings = vec![
            (Account::TransfersInTransit, -transfer.amount),
            (Account::Recipients, transfer.amount),
        ];
        self.move_transfer(&transfer, EntryKind::TransferSuccess, postings, now)?;
        self.end_transfer(reference, TransferStatus::Success, "transfer.success", now)
    }

    /// A pending transfer can't be made: its money and its fee come back.
    ///
    /// # Errors
    /// Where it is not pending.
    pub fn fail_transfer(&mut self, reference: &str, now: OffsetDateTime) -> Result<(), No> {
        let transfer = self.in_status(reference, &[TransferStatus::Pending])?;
        self.return_transfer(&transfer, Account::TransfersInTransit, now)?;
        self.end_transfer(reference, TransferStatus::Failed, "transfer.failed", now)
    }

    /// A transfer comes back, though it may have arrived.
    ///
    /// # Errors
    /// Where it had failed or come back before.
    pub fn reverse_transfer(&mut self, reference: &str, now: OffsetDateTime) -> Result<(), No> {
        let from = [TransferStatus::Pending, TransferStatus::Success];
        let transfer = self.in_status(reference, &from)?;
        let holder = match transfer.status {
            TransferStatus::Success => Account::Recipients,
            _ => Account::TransfersInTransit,
        };
        self.return_transfer(&transfer, holder, now)?;
        self.end_transfer(
            reference,
            TransferStatus::Reversed,
            "transfer.reversed",
            now,
        )
    }

    fn in_status(&self, reference: &str, any: &[TransferStatus]) -> Result<TransferRecord, No> {
        let transfer = self.transfer_of(reference)?;
        match any.contains(&transfer.status) {
            true => Ok(transfer.clone()),
            false => Err(No::not_under_way()),
        }
    }

    fn return_transfer(
        &mut self,
        transfer: &TransferRecord,
        holder: Account,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        let postings = vec![
            (holder, -transfer.amount),
            (Account::Fees, -transfer.fee),
            (
                Account::Balance,
                transfer.amount.saturating_add(transfer.fee),
            ),
        ];
        self.move_transfer(transfer, EntryKind::TransferReturn, postings, now)
    }

    fn move_transfer(
        &mut self,
        transfer: &TransferRecord,
        kind: EntryKind,
        postings: Vec<(Account, i64)>,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        self.journal.post(Entry {
            id: transfer.id,
            at: now,
            kind,
            reference: transfer.reference.clone(),
            currency: transfer.currency,
            postings,
        })
    }

    fn end_transfer(
        &mut self,
        reference: &str,
        status: TransferStatus,
        kind: &'static str,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        let transfer = self.transfers.get_mut(reference);
        let transfer = transfer.ok_or_else(No::transfer_not_found)?;
        transfer.status = status;
        transfer.updated_at = now;
        let transfer = transfer.clone();
        let recipient = self.recipient(&transfer.recipient)?.clone();
        self.happened
            .push(Happened::Transfer(kind, transfer, recipient));
        Ok(())
    }
}
