//! How a refund that was asked for here stands, in the words of [`transit`](crate::transit), whose
//! rules it follows.

use super::apply::REFUSED;
use super::{Refund, RefundStatus};
use crate::event::EventType;
use crate::psp;
use crate::transit::{Known, Learned, Standing, Verdict};

/// How it stands, in the rules' words.
const fn standing(status: RefundStatus) -> Standing {
    match status {
        RefundStatus::Requested => Standing::Requested,
        RefundStatus::Sent => Standing::Sent,
        RefundStatus::Unknown => Standing::Unknown,
        RefundStatus::Succeeded => Standing::Succeeded,
        RefundStatus::Failed => Standing::Failed,
    }
}

/// What is known of a refund.
pub(super) fn known(refund: &Refund) -> Known {
    Known {
        standing: standing(refund.status),
        amount: refund.amount,
        currency: refund.currency,
        acknowledged: refund.psp_id.is_some(),
        doubtful: refund.doubtful_until.is_some(),
        refused: refund.psp_status.as_deref() == Some(REFUSED),
        by_word: refund.resolution.is_some(),
    }
}

/// What the PSP says of one.
pub(super) fn seen(entry: &psp::Refund) -> Learned {
    Learned::Seen {
        conclusion: entry.status.conclusion(),
        // The PSP has no word for a refund that comes back.
        came_back: false,
        amount: entry.amount,
        currency: entry.currency,
    }
}

impl From<Verdict> for RefundStatus {
    /// How it stands by a person's word.
    fn from(verdict: Verdict) -> Self {
        status(verdict.standing())
    }
}

/// How it stands, in its own words. None comes back.
pub(super) const fn status(standing: Standing) -> RefundStatus {
    match standing {
        Standing::Requested => RefundStatus::Requested,
        Standing::Sent => RefundStatus::Sent,
        Standing::Unknown => RefundStatus::Unknown,
        Standing::Succeeded | Standing::Returned => RefundStatus::Succeeded,
        Standing::Failed => RefundStatus::Failed,
    }
}

/// What to tell of one that stands so from now on.
pub(super) const fn event(status: RefundStatus) -> EventType {
    match status {
        RefundStatus::Requested => EventType::RefundRequested,
        RefundStatus::Sent => EventType::RefundSent,
        RefundStatus::Unknown => EventType::RefundUnknown,
        RefundStatus::Succeeded => EventType::RefundSucceeded,
        RefundStatus::Failed => EventType::RefundFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_stands_is_the_same_in_both_words() {
        for stands in RefundStatus::ALL {
            assert_eq!(status(standing(stands)), stands);
            assert_eq!(standing(stands).is_open(), stands.is_open());
            let told = format!("aegis.refund.{}", stands.as_str());
            assert_eq!(event(stands).as_str(), told);
        }
    }
}
