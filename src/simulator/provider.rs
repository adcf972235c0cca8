//! Books and faults together: what a call does, and how its answer goes wrong.

use time::OffsetDateTime;

use super::books::{Books, No};
use super::fault::{Call, Fault, Faults};
use crate::psp::TransferStatus;

/// The provider, without any way to reach it.
#[derive(Debug)]
pub(super) struct Provider {
    pub books: Books,
    pub faults: Faults,
}

/// What became of a call.
#[derive(Debug)]
pub(super) struct Served<T> {
    /// None: it never took effect.
    pub answer: Option<Result<T, No>>,
    /// How the answer goes wrong.
    pub trouble: Option<Fault>,
    /// Whether what follows is told before the call is answered.
    pub early: bool,
}

impl Provider {
    /// Serves a call.
    pub(super) fn serve<T>(
        &mut self,
        call: Call,
        reference: &str,
        asked: &[Fault],
        act: impl FnOnce(&mut Books) -> Result<T, No>,
    ) -> Served<T> {
        let faults = self.faults.take(call, reference, asked);
        let trouble = faults.iter().copied().find(|f| f.is_of_the_answer());
        let answer = match trouble {
            Some(Fault::Lost | Fault::RateLimit) => None,
            _ if faults.contains(&Fault::LowBalance) => Some(Err(No::low_balance())),
            _ => Some(act(&mut self.books)),
        };
        Served {
            answer,
            trouble,
            early: faults.contains(&Fault::Early),
        }
    }

    /// A customer pays by himself.
    pub(super) fn pay(&mut self, reference: &str, now: OffsetDateTime) -> Result<(), No> {
        let asked = self.books.payment(reference)?.requested_amount;
        let faults = self.faults.take(Call::Pay, reference, &[]);
        if faults.contains(&Fault::Failed) {
            return self.books.fail_payment(reference);
        }
        let other = faults.contains(&Fault::WrongAmount);
        // One less, or two instead of one.
        let paid = other.then(|| if asked > 1 { asked - 1 } else { 2 });
        self.books.pay(reference, paid, now)
    }

    /// A transfer ends by itself.
    pub(super) fn settle_transfer(
        &mut self,
        reference: &str,
        now: OffsetDateTime,
    ) -> Result<(), No> {
        if self.books.transfer_of(reference)?.status != TransferStatus::Pending {
            return Err(No::not_under_way());
        }
        let faults = self.faults.take(Call::Settle, reference, &[]);
        if faults.contains(&Fault::Failed) {
            return self.books.fail_transfer(reference, now);
        }
        self.books.succeed_transfer(reference, now)?;
        match faults.contains(&Fault::Reversed) {
            true => self.books.reverse_transfer(reference, now),
            false => Ok(()),
        }
    }

    /// A refund ends by itself.
    pub(super) fn settle_refund(&mut self, id: u64, now: OffsetDateTime) -> Result<(), No> {
        let reference = self.books.refund_of(id)?.payment_reference.clone();
        let faults = self.faults.take(Call::Settle, &reference, &[]);
        self.books
            .settle_refund(id, !faults.contains(&Fault::Failed), now)
    }
}
