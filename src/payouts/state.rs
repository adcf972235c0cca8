//! How a payout stands, in the words of [`transit`](crate::transit), whose rules it follows.

use super::{Payout, PayoutStatus};
use crate::event::EventType;
use crate::psp::{Transfer, TransferStatus};
use crate::transit::{Known, Learned, Standing, Verdict};

/// How it stands, in the rules' words.
const fn standing(status: PayoutStatus) -> Standing {
    match status {
        PayoutStatus::Requested => Standing::Requested,
        PayoutStatus::Sent => Standing::Sent,
        PayoutStatus::Unknown => Standing::Unknown,
        PayoutStatus::Succeeded => Standing::Succeeded,
        PayoutStatus::Failed => Standing::Failed,
        PayoutStatus::Returned => Standing::Returned,
    }
}

/// What is known of a payout.
pub(super) fn known(payout: &Payout) -> Known {
    Known {
        standing: standing(payout.status),
        amount: payout.amount,
        currency: payout.currency,
        acknowledged: payout.psp_code.is_some(),
        doubtful: payout.doubt.is_some(),
        refused: payout.refused,
        by_word: payout.resolution.is_some(),
    }
}

/// What the PSP says of one.
pub(super) fn seen(transfer: &Transfer) -> Learned {
    Learned::Seen {
        conclusion: transfer.status.conclusion(),
        came_back: transfer.status == TransferStatus::Reversed,
        amount: transfer.amount,
        currency: transfer.currency,
    }
}

impl From<Verdict> for PayoutStatus {
    /// How it stands by a person's word.
    fn from(verdict: Verdict) -> Self {
        status(verdict.standing())
    }
}

/// How it stands, in its own words.
pub(super) const fn status(standing: Standing) -> PayoutStatus {
    match standing {
        Standing::Requested => PayoutStatus::Requested,
        Standing::Sent => PayoutStatus::Sent,
        Standing::Unknown => PayoutStatus::Unknown,
        Standing::Succeeded => PayoutStatus::Succeeded,
        Standing::Failed => PayoutStatus::Failed,
        Standing::Returned => PayoutStatus::Returned,
    }
}

/// What to tell of one that stands so from now on.
pub(super) const fn event(status: PayoutStatus) -> EventType {
    match status {
        PayoutStatus::Requested => EventType::PayoutRequested,
        PayoutStatus::Sent => EventType::PayoutSent,
        PayoutStatus::Unknown => EventType::PayoutUnknown,
        PayoutStatus::Succeeded => EventType::PayoutSucceeded,
        PayoutStatus::Failed => EventType::PayoutFailed,
        PayoutStatus::Returned => EventType::PayoutReturned,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use crate::ledger::Currency;
    use crate::postgres::discrepancies::Class;
    use crate::transit::decide;

    #[test]
    fn how_it_stands_is_the_same_in_both_words() {
        for stands in PayoutStatus::ALL {
            assert_eq!(status(standing(stands)), stands);
            assert_eq!(standing(stands).is_open(), stands.is_open());
            let told = format!("aegis.payout.{}", stands.as_str());
            assert_eq!(event(stands).as_str(), told);
        }
    }

    #[test]
    fn of_what_was_paid_only_reversed_says_that_it_came_back() {
        let currency = Currency::from_code("NGN").unwrap();
        let paid = Known {
            standing: Standing::Succeeded,
            amount: 100,
            currency,
            acknowledged: true,
            doubtful: false,
            refused: false,
            by_word: false,
        };
        let unheard_of = TransferStatus::from_word("teleported");
        for status in TransferStatus::ALL.iter().chain([&unheard_of]) {
            let transfer = Transfer {
                reference: "po-1".to_owned(),
                code: "TRF_1".to_owned(),
                status: status.clone(),
                amount: 100,
                currency,
                fee: None,
                detail: None,
            };
            let wanted = match status {
                TransferStatus::Reversed => (Standing::Returned, None),
                TransferStatus::Failed
                | TransferStatus::Abandoned
                | TransferStatus::Blocked
                | TransferStatus::Rejected => (Standing::Succeeded, Some(Class::Status)),
                _ => (Standing::Succeeded, None),
            };
            let decision = decide(paid, seen(&transfer));
            assert_eq!((decision.standing, decision.amiss), wanted, "{status}");
        }
    }
}
