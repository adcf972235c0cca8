//! When the PSP is called, and whether its word lets a refund be sent again. No clock.

use std::time::Duration;

use time::OffsetDateTime;

use crate::ledger::later;
use crate::postgres::refunds::{Refund, RefundStatus};

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To send the refund.
    Send,
    /// To read the PSP's list.
    Ask,
}

/// Waits of refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The wait once the schedule's are over, without end.
    pub poll: Duration,
    /// How often the PSP is asked about an open dispute.
    pub disputes: Duration,
    /// After how long a call that nobody came back from is given up for lost. Longer than a call may
    /// take; two calls in a row have twice as long.
    pub lease: Duration,
    /// How long after a call that may have sent a refund the PSP's list counts that doesn't show it:
    /// a request that is still on its way arrives before. A PSP would take it twice.
    pub settling: Duration,
    /// For how long such a list counts.
    pub fresh: Duration,
}

impl Default for Timing {
    /// 5 min, 1 h, 1 min, 5 min, 1 min.
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(300),
            disputes: Duration::from_secs(3_600),
            lease: Duration::from_secs(60),
            settling: Duration::from_secs(300),
            fresh: Duration::from_secs(60),
        }
    }
}

impl Timing {
    /// What is to be done about an open refund when its time has come.
    #[must_use]
    pub fn step(&self, refund: &Refund, now: OffsetDateTime) -> Option<Step> {
        match refund.status {
            RefundStatus::Requested => {
                let was_told_lately = refund
                    .not_known_at
                    .is_some_and(|told| now <= later(told, self.fresh));
                match refund.doubtful_until {
                    // Once a call may have sent it, each further one follows a fresh list.
                    Some(_) if !was_told_lately => Some(Step::Ask),
                    _ => Some(Step::Send),
                }
            }
            RefundStatus::Sent | RefundStatus::Unknown => Some(Step::Ask),
            RefundStatus::Succeeded | RefundStatus::Failed => None,
        }
    }

    /// Whether a refund may be sent again on a list without it that was asked for at this time.
    #[must_use]
    pub fn may_send(&self, refund: &Refund, asked_at: OffsetDateTime) -> bool {
        refund
            .doubtful_until
            .is_none_or(|until| asked_at >= later(until, self.settling))
    }
}
