//! How long to wait after a failure. The only place that knows the `backoff` crate, which is
//! no longer maintained; it does the arithmetic, and no clock takes part.
//!
//! Two answers: a [`Schedule`] gives up, because a message or a call that failed often enough
//! is somebody's to look at; a [`Reconnect`] never does, because a loop that needs a
//! connection has nothing better to do than to try again.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// A limited number of waits, each one a multiple of the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    base: Duration,
    factor: u32,
    waits: u32,
    jitter: f64,
}

impl Schedule {
    /// 1, 2, 4, 8 and 16 s; the sixth failure is the last one.
    pub const STANDARD: Self = Self::new(Duration::from_secs(1), 2, 5);

    /// `waits` waits, the first one `base` long, each further one `factor` times the one
    /// before and at most [`Schedule::WAIT_MAX`].
    #[must_use]
    pub const fn new(base: Duration, factor: u32, waits: u32) -> Self {
        Self {
            base,
            factor,
            waits,
            jitter: 0.0,
        }
    }

    /// No wait is longer, however the schedule is made.
    pub const WAIT_MAX: Duration = Duration::from_secs(3_600);

    /// The same schedule with every wait shortened or lengthened by chance, by at most this
    /// fraction of it (0 to 1; anything outside is taken for the nearest of them). It keeps
    /// callers that failed together from coming back together.
    #[must_use]
    pub fn with_jitter(self, fraction: f64) -> Self {
        Self {
            jitter: fraction.clamp(0.0, 1.0),
            ..self
        }
    }

    /// The wait after so many failures in a row. `None`: give up, the next place is the
    /// dead letters. No failure, no wait.
    ///
    /// Without jitter the same count always gives the same wait, so a count kept in the
    /// database is all that has to survive a crash.
    #[must_use]
    pub fn delay_after(&self, failures: u32) -> Option<Duration> {
        if failures == 0 {
            return Some(Duration::ZERO);
        }
        if failures > self.waits {
            return None;
        }
        let mut steps = exponential(self.base, self.factor, Self::WAIT_MAX, self.jitter);
        for _ in 1..failures {
            steps.next_backoff();
        }
        // Read rather than drawn: a drawn one is up to a nanosecond longer, even without jitter.
        let exact = steps.current_interval;
        match self.jitter > 0.0 {
            true => steps.next_backoff(),
            false => Some(exact),
        }
    }

    /// The wait before the next question to somebody outside after so many waits: by the schedule,
    /// and `poll` without end once that is over. At least as long as was asked for, and at most a day,
    /// whatever was.
    #[must_use]
    pub fn wait_or(&self, poll: Duration, waits: i32, asked_for: Option<Duration>) -> Duration {
        let failures = u32::try_from(waits).unwrap_or(0).saturating_add(1);
        let wait = self.delay_after(failures).unwrap_or(poll);
        wait.max(asked_for.unwrap_or_default())
            .min(Self::ASKED_FOR_MAX)
    }

    /// Nobody outside is waited for longer, whatever they ask for.
    const ASKED_FOR_MAX: Duration = Duration::from_secs(24 * 3_600);

    /// How many failures in a row are followed by a wait; one more is the last.
    #[must_use]
    pub const fn waits(&self) -> u32 {
        self.waits
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// Endless waits for a loop that re-connects: they double up to a limit, and each is drawn
/// by chance from half to one and a half times its length, within the limits.
#[derive(Debug, Clone)]
pub struct Reconnect {
    shortest: Duration,
    longest: Duration,
    steps: ExponentialBackoff,
}

impl Reconnect {
    /// Waits from `shortest` to `longest`, both included. Where `longest` is the smaller one,
    /// all waits are `shortest` long.
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        let longest = longest.max(shortest);
        // The middles of the first and of the last range to draw from.
        let first = shortest.saturating_mul(2);
        let last = longest.saturating_mul(2) / 3;
        Self {
            shortest,
            longest,
            steps: exponential(first.min(last.max(shortest)), 2, last, 0.5),
        }
    }

    /// The wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.steps
            .next_backoff()
            .unwrap_or(self.longest)
            .clamp(self.shortest, self.longest)
    }

    /// After a success: the next wait is a short one again.
    pub fn reset(&mut self) {
        self.steps.reset();
    }
}

/// 100 ms to 5 s.
impl Default for Reconnect {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

fn exponential(base: Duration, factor: u32, longest: Duration, jitter: f64) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: base.min(longest),
        initial_interval: base.min(longest),
        multiplier: f64::from(factor),
        max_interval: longest,
        randomization_factor: jitter,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn waits_are_1_2_4_8_16_seconds_and_the_sixth_failure_gives_up() {
        let table = [
            (0, seconds(0)),
            (1, seconds(1)),
            (2, seconds(2)),
            (3, seconds(4)),
            (4, seconds(8)),
            (5, seconds(16)),
            (6, None),
            (7, None),
            (u32::MAX, None),
        ];
        for (failures, delay) in table {
            assert_eq!(
                Schedule::STANDARD.delay_after(failures),
                delay,
                "{failures}"
            );
        }
    }

    #[test]
    fn without_jitter_the_same_count_gives_the_same_wait() {
        let schedule = Schedule::new(Duration::from_millis(7), 3, 9);
        for failures in 1..=9 {
            let exact = Duration::from_millis(7 * 3_u64.pow(failures - 1));
            for _ in 0..1_000 {
                assert_eq!(schedule.delay_after(failures), Some(exact));
            }
        }
    }

    #[test]
    fn no_wait_of_a_schedule_is_longer_than_an_hour() {
        let schedule = Schedule::new(Duration::from_secs(1), 2, 40);
        assert_eq!(schedule.delay_after(12), seconds(2_048));
        assert_eq!(schedule.delay_after(13), seconds(3_600));
        assert_eq!(schedule.delay_after(40), seconds(3_600));
        assert_eq!(schedule.delay_after(41), None);
        let long = Schedule::new(Duration::MAX, u32::MAX, 2);
        assert_eq!(long.delay_after(2), seconds(3_600));
    }

    #[test]
    fn jitter_stays_within_its_fraction_and_still_gives_up() {
        let schedule = Schedule::STANDARD.with_jitter(0.25);
        for _ in 0..1_000 {
            let delay = schedule.delay_after(3).unwrap_or_default();
            assert!((Duration::from_secs(3)..=Duration::from_secs(5)).contains(&delay));
        }
        assert_eq!(schedule.delay_after(6), None);
    }

    #[test]
    fn every_wait_of_a_reconnect_lies_within_its_limits() {
        let ms = Duration::from_millis;
        for (shortest, longest) in [
            (ms(100), ms(5_000)),
            (ms(100), ms(250)),
            (ms(100), ms(100)),
            (ms(100), ms(1)),
            (ms(0), ms(0)),
            (ms(1), Duration::MAX),
            (Duration::MAX, Duration::MAX),
        ] {
            let mut reconnect = Reconnect::new(shortest, longest);
            for _ in 0..1_000 {
                let delay = reconnect.next_delay();
                assert!(
                    delay >= shortest && delay <= longest.max(shortest),
                    "{delay:?}"
                );
            }
        }
    }

    #[test]
    fn the_waits_of_a_reconnect_grow_and_a_success_makes_them_short_again() {
        let mut reconnect = Reconnect::default();
        for _ in 0..20 {
            assert!(reconnect.next_delay() <= Duration::from_millis(301));
            for _ in 0..10 {
                reconnect.next_delay();
            }
            assert!(reconnect.next_delay() >= Duration::from_millis(1_600));
            reconnect.reset();
        }
    }
}
