//! When the PSP is called, and whether its word lets a payout be sent again. No clock.

use std::time::Duration;

use time::OffsetDateTime;

use crate::postgres::payouts::{AttemptKind, Payout, PayoutStatus};
use crate::resilience::backoff::Schedule;

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
    /// For how long after the first such call it counts. A PSP may forget a reference after a day.
    pub trusted: Duration,
}

impl Default for Timing {
    /// 5 min, 1 min, 1 min, 20 h.
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(300),
            lease: Duration::from_secs(60),
            settling: Duration::from_secs(60),
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
                    .is_some_and(|told| now <= later(told, self.settling));
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

    /// Whether a payout may be sent again on the PSP's word that it doesn't know its reference.
    #[must_use]
    pub fn may_send(&self, payout: &Payout, now: OffsetDateTime) -> bool {
        payout.doubt.is_none_or(|doubt| {
            now >= later(doubt.until, self.settling) && now < later(doubt.since, self.trusted)
        })
    }

    /// The wait after so many of them; at least so long as the PSP asked for.
    #[must_use]
    pub fn wait(&self, schedule: &Schedule, waits: i32, asked_for: Option<Duration>) -> Duration {
        let failures = u32::try_from(waits).unwrap_or(0).saturating_add(1);
        let wait = schedule.delay_after(failures).unwrap_or(self.poll);
        wait.max(asked_for.unwrap_or_default()).min(WAIT_MAX)
    }
}

/// No PSP is waited for longer, whatever it asks for.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The time so much later; the last one there is where the calendar ends.
pub(super) fn later(time: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by))
        .map_or(time, whole)
}

/// The time as PostgreSQL keeps it, in microseconds.
pub(super) fn whole(time: OffsetDateTime) -> OffsetDateTime {
    let micros = time.microsecond().saturating_mul(1_000);
    time.replace_nanosecond(micros).unwrap_or(time)
}
