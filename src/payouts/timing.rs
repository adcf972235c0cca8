//! When the PSP is called, and whether its word lets a payout be sent again. No clock.

use std::time::Duration;

use time::OffsetDateTime;

use crate::ledger::later;
use crate::postgres::payouts::{AttemptKind, Payout, PayoutStatus};

/// Waits of payouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The wait once the schedule's are over, without end.
    pub poll: Duration,
    /// After how long a call that nobody came back from is given up for lost. Longer than a call may
    /// take.
    pub lease: Duration,
    /// How long after a call that may have sent a payout the PSP's "not known" counts: a request
    /// that is still on its way arrives before.
    pub settling: Duration,
    /// For how long such a word counts.
    pub fresh: Duration,
    /// For how long after the first such call it counts. A PSP may forget a reference after a day.
    pub trusted: Duration,
}

impl Default for Timing {
    /// 5 min, 1 min, 1 min, 1 min, 20 h.
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(300),
            lease: Duration::from_secs(60),
            settling: Duration::from_secs(60),
            fresh: Duration::from_secs(60),
            trusted: Duration::from_secs(20 * 3_600),
        }
    }
}

impl Timing {
    /// What is to be done about an open payout when its time has come.
    #[must_use]
    pub fn step(&self, payout: &Payout, now: OffsetDateTime) -> Option<AttemptKind> {
        match payout.status {
            PayoutStatus::Requested => {
                let was_told_lately = payout
                    .not_known_at
                    .is_some_and(|told| now <= later(told, self.fresh));
                match payout.doubt {
                    // Once a call may have sent it, each further one follows a fresh "not known".
                    Some(_) if !was_told_lately => Some(AttemptKind::Ask),
                    _ => Some(AttemptKind::Send),
                }
            }
            PayoutStatus::Sent | PayoutStatus::Unknown => Some(AttemptKind::Ask),
            PayoutStatus::Succeeded | PayoutStatus::Failed | PayoutStatus::Returned => None,
        }
    }

    /// Whether a payout may be sent again on the PSP's word, to a question of this time, that it doesn't
    /// know its reference.
    #[must_use]
    pub fn may_send(&self, payout: &Payout, asked_at: OffsetDateTime) -> bool {
        payout.doubt.is_none_or(|doubt| {
            asked_at >= later(doubt.until, self.settling)
                && asked_at < later(doubt.since, self.trusted)
        })
    }
}
