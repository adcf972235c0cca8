//! How many letters at once, and how fast.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Letters that are published together, at most.
const BATCH_MAX: u32 = 100;
/// With a rate, batches a second, where the rate is as high as that.
const BATCHES_PER_SECOND: u32 = 10;

/// Lets a batch through at a time.
#[derive(Debug)]
pub(super) struct Pace {
    batch: usize,
    ticks: Option<Interval>,
}

impl Pace {
    /// At most so many letters a second, or as many as go through.
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        let (batch, every) = shape(rate);
        let ticks = every.map(|every| {
            let mut ticks = interval(every);
            // Time that was lost is not made up for: the rate is never exceeded.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { batch, ticks }
    }

    /// Waits for the turn of the next batch: its size at most.
    pub(super) async fn turn(&mut self) -> usize {
        if let Some(ticks) = &mut self.ticks {
            ticks.tick().await;
        }
        self.batch
    }
}

/// The size of a batch, and how long after one the next may follow.
fn shape(rate: Option<NonZeroU32>) -> (usize, Option<Duration>) {
    let Some(rate) = rate.map(NonZeroU32::get) else {
        return (usize::try_from(BATCH_MAX).unwrap_or(1), None);
    };
    let batch = (rate / BATCHES_PER_SECOND).clamp(1, BATCH_MAX);
    let every = Duration::from_secs(1).saturating_mul(batch) / rate;
    (usize::try_from(batch).unwrap_or(1), Some(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_waits_give_the_rate_and_never_more() {
        assert_eq!(shape(None), (100, None));
        for rate in [
            1, 2, 3, 7, 9, 10, 11, 50, 99, 100, 999, 1_000, 5_000, 1_000_000,
        ] {
            let (batch, every) = shape(NonZeroU32::new(rate));
            let every = every.unwrap_or_default();
            assert!(
                every <= Duration::from_secs(1),
                "{rate}: a stop is seen soon"
            );
            let per_second = batch as f64 / every.as_secs_f64();
            let rate = f64::from(rate);
            // To the nanosecond.
            assert!(
                (per_second - rate).abs() / rate < 0.001,
                "{rate}: {per_second}"
            );
        }
    }

    #[tokio::test]
    async fn lost_time_is_not_made_up_for() {
        let mut pace = Pace::new(NonZeroU32::new(10));
        pace.turn().await;
        tokio::time::sleep(Duration::from_millis(350)).await;
        let again = tokio::time::Instant::now();
        pace.turn().await;
        // Three turns were missed; the next one is still a tenth of a second away.
        pace.turn().await;
        assert!(again.elapsed() >= Duration::from_millis(100));
    }
}
