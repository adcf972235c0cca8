//! How many traces may begin within a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A number of traces that is there anew each second. Shared by all threads.
#[derive(Debug)]
pub(super) struct Budget {
    per_second_max: u64,
    /// The second, and in the low half how many were taken in it.
    taken: AtomicU64,
}

const HALF: u32 = 32;
const COUNT: u64 = u32::MAX as u64;

impl Budget {
    pub(super) fn new(per_second_max: u32) -> Self {
        Self {
            per_second_max: u64::from(per_second_max),
            taken: AtomicU64::new(0),
        }
    }

    /// Whether one more trace may be recorded.
    pub(super) fn take(&self, now: SystemTime) -> bool {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs() & COUNT;
        let next = |taken: u64| match taken >> HALF == second {
            true if taken & COUNT >= self.per_second_max => None,
            true => Some(taken.saturating_add(1)),
            false => Some((second << HALF) | 1),
        };
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_and_the_next_one_again() {
        let budget = Budget::new(3);
        let first = UNIX_EPOCH + Duration::from_millis(1_700_000_000_100);
        let taken = |at| (0..10).filter(|_| budget.take(at)).count();
        assert_eq!(taken(first), 3);
        assert_eq!(taken(first + Duration::from_millis(899)), 0);
        assert_eq!(taken(first + Duration::from_millis(900)), 3);
    }
}
