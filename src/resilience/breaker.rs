//! A circuit breaker: a dependency that failed several times in a row is left alone for a while,
//! then asked once.
//!
//! Closed, calls pass; so many failures in a row open it. Open, calls are turned away at once,
//! until the pause is over. Half-open, one call passes as the probe: its success closes the
//! breaker, its failure opens it for another pause, and where it ends without a verdict the next
//! call is the probe.
//!
//! What counts as a failure is the caller's to say: a refusal is an answer, an outage is not. The
//! clock is an argument. The whole state is one word that is compared and swapped, so a call never
//! waits for another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a [`Breaker`] opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open it, from 1.
    pub failures_max: u32,
    /// The pause before the probe.
    pub open: Duration,
}

impl Default for BreakerOptions {
    /// 5 failures, 30 s.
    fn default() -> Self {
        Self {
            failures_max: 5,
            open: Duration::from_secs(30),
        }
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are turned away until the pause is over.
    Open,
    /// One call is under way to find out.
    HalfOpen,
}

impl BreakerState {
    /// As in logs, JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How a breaker stands, for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerReport {
    /// The dependency.
    pub name: &'static str,
    /// Where it stands.
    pub state: BreakerState,
    /// Failures in a row, while closed.
    pub failures: u32,
    /// While open, how long until a call may pass.
    pub retry_after: Option<Duration>,
    /// How often it opened since the process started.
    pub opened_total: u64,
    /// Calls that were turned away since the process started.
    pub turned_away_total: u64,
}

/// The call was turned away: the dependency failed too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} failed {failures_max} times in a row and is left alone for another {} s",
        .retry_after.as_millis().div_ceil(1_000))]
pub struct TurnedAway {
    /// The dependency.
    pub name: &'static str,
    /// How many failures opened the breaker.
    pub failures_max: u32,
    /// When it may be asked again. Short where a probe is under way, since nobody knows.
    pub retry_after: Duration,
}

/// While a probe is under way, others are told to come back after so long.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// One dependency's breaker. Shared by reference.
#[derive(Debug)]
pub struct Breaker {
    name: &'static str,
    options: BreakerOptions,
    /// What the milliseconds of the word count from.
    origin: Instant,
    word: AtomicU64,
    /// Numbers the probes.
    probes: AtomicU64,
    opened_total: AtomicU64,
    turned_away_total: AtomicU64,
}

/// What the word says: two bits of kind above 62 of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Failures in a row.
    Closed(u32),
    /// The end of the pause.
    Open { until_ms: u64 },
    /// The number of the probe under way: the verdict of an earlier one is not its.
    HalfOpen { probe: u64 },
}

const KIND_SHIFT: u32 = 62;
const NUMBER: u64 = (1 << KIND_SHIFT) - 1;

impl Word {
    const fn pack(self) -> u64 {
        match self {
            Self::Closed(failures) => failures as u64,
            Self::Open { until_ms } => (1 << KIND_SHIFT) | (until_ms & NUMBER),
            Self::HalfOpen { probe } => (2 << KIND_SHIFT) | (probe & NUMBER),
        }
    }

    fn unpack(word: u64) -> Self {
        let number = word & NUMBER;
        match word >> KIND_SHIFT {
            0 => Self::Closed(u32::try_from(number).unwrap_or(u32::MAX)),
            1 => Self::Open { until_ms: number },
            _ => Self::HalfOpen { probe: number },
        }
    }
}

/// A call that may be made. Say how it went; dropped, it says nothing.
#[derive(Debug)]
#[must_use = "a call's outcome is what the breaker goes by"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    probe: Option<u64>,
}

impl Breaker {
    /// A closed breaker for the dependency of that name.
    #[must_use]
    pub fn new(name: &'static str, options: BreakerOptions) -> Self {
        Self {
            name,
            options,
            origin: Instant::now(),
            word: AtomicU64::new(Word::Closed(0).pack()),
            probes: AtomicU64::new(0),
            opened_total: AtomicU64::new(0),
            turned_away_total: AtomicU64::new(0),
        }
    }

    /// Whether a call may be made now.
    ///
    /// # Errors
    /// [`TurnedAway`] while the breaker is open, or another call is the probe.
    pub fn permit(&self, now: Instant) -> Result<Permit<'_>, TurnedAway> {
        loop {
            let seen = self.word.load(Ordering::Acquire);
            let retry_after = match Word::unpack(seen) {
                Word::Closed(_) => {
                    return Ok(Permit {
                        breaker: self,
                        probe: None,
                    });
                }
                Word::Open { until_ms } => {
                    let now_ms = self.since_origin(now);
                    if now_ms >= until_ms {
                        let probe = self.probes.fetch_add(1, Ordering::Relaxed) & NUMBER;
                        if self.swap(seen, Word::HalfOpen { probe }) {
                            tracing::info!(dependency = self.name, "the breaker is half-open");
                            return Ok(Permit {
                                breaker: self,
                                probe: Some(probe),
                            });
                        }
                        continue;
                    }
                    Duration::from_millis(until_ms - now_ms)
                }
                Word::HalfOpen { .. } => PROBE_WAIT,
            };
            self.turned_away_total.fetch_add(1, Ordering::Relaxed);
            return Err(TurnedAway {
                name: self.name,
                failures_max: self.options.failures_max,
                retry_after,
            });
        }
    }

    /// How it stands.
    #[must_use]
    pub fn report(&self, now: Instant) -> BreakerReport {
        let (state, failures, retry_after) = match Word::unpack(self.word.load(Ordering::Acquire)) {
            Word::Closed(failures) => (BreakerState::Closed, failures, None),
            Word::Open { until_ms } => {
                let left = until_ms.saturating_sub(self.since_origin(now));
                (BreakerState::Open, 0, Some(Duration::from_millis(left)))
            }
            Word::HalfOpen { .. } => (BreakerState::HalfOpen, 0, None),
        };
        BreakerReport {
            name: self.name,
            state,
            failures,
            retry_after,
            opened_total: self.opened_total.load(Ordering::Relaxed),
            turned_away_total: self.turned_away_total.load(Ordering::Relaxed),
        }
    }

    fn succeeded(&self, probe: Option<u64>) {
        loop {
            let seen = self.word.load(Ordering::Acquire);
            match (Word::unpack(seen), probe) {
                // What is so mostly is not written.
                (Word::Closed(0), _) => return,
                (Word::Closed(_), _) => {}
                (Word::HalfOpen { probe: current }, Some(own)) if current == own => {}
                // A call from before it opened: only the probe closes it.
                _ => return,
            }
            if self.swap(seen, Word::Closed(0)) {
                if probe.is_some() {
                    tracing::warn!(dependency = self.name, "the breaker closed");
                }
                return;
            }
        }
    }

    fn failed(&self, probe: Option<u64>, now: Instant, reason: &dyn std::fmt::Display) {
        loop {
            let seen = self.word.load(Ordering::Acquire);
            let next = match (Word::unpack(seen), probe) {
                (Word::Closed(failures), _) => {
                    let failures = failures.saturating_add(1);
                    match failures >= self.options.failures_max {
                        true => self.opened(now),
                        false => Word::Closed(failures),
                    }
                }
                (Word::HalfOpen { probe: current }, Some(own)) if current == own => {
                    self.opened(now)
                }
                // A call from before it opened says nothing new.
                _ => return,
            };
            if self.swap(seen, next) {
                if matches!(next, Word::Open { .. }) {
                    self.opened_total.fetch_add(1, Ordering::Relaxed);
                    let open_ms = u64::try_from(self.options.open.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(dependency = self.name, %reason, open_ms, "the breaker opened");
                }
                return;
            }
        }
    }

    /// The probe ended without a verdict: the next call is the probe.
    fn given_back(&self, probe: u64) {
        let under_way = Word::HalfOpen { probe }.pack();
        self.swap(under_way, Word::Open { until_ms: 0 });
    }

    fn opened(&self, now: Instant) -> Word {
        let open_ms = u64::try_from(self.options.open.as_millis()).unwrap_or(NUMBER);
        let until_ms = self.since_origin(now).saturating_add(open_ms).min(NUMBER);
        Word::Open { until_ms }
    }

    fn since_origin(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin);
        u64::try_from(since.as_millis()).unwrap_or(NUMBER)
    }

    fn swap(&self, seen: u64, next: Word) -> bool {
        self.word
            .compare_exchange(seen, next.pack(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Permit<'_> {
    /// The dependency answered, be it with a no.
    pub fn succeeded(mut self) {
        self.breaker.succeeded(self.probe.take());
    }

    /// The dependency failed; the reason is for the log.
    pub fn failed(mut self, now: Instant, reason: &dyn std::fmt::Display) {
        self.breaker.failed(self.probe.take(), now, reason);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(probe) = self.probe {
            self.breaker.given_back(probe);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::*;
    use std::sync::Arc;

    const OPTIONS: BreakerOptions = BreakerOptions {
        failures_max: 5,
        open: Duration::from_secs(30),
    };

    struct Scene {
        breaker: Breaker,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let breaker = Breaker::new("psp", OPTIONS);
            let now = breaker.origin;
            Self { breaker, now }
        }

        fn open() -> Self {
            let scene = Self::new();
            for _ in 0..5 {
                scene.fail();
            }
            scene
        }

        fn fail(&self) {
            let permit = self.breaker.permit(self.now).unwrap();
            permit.failed(self.now, &"timed out");
        }

        fn succeed(&self) {
            self.breaker.permit(self.now).unwrap().succeeded();
        }

        fn state(&self) -> BreakerState {
            self.breaker.report(self.now).state
        }

        fn later(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let scene = Scene::new();
        for _ in 0..4 {
            scene.fail();
        }
        scene.succeed();
        for _ in 0..4 {
            scene.fail();
        }
        assert_eq!(scene.state(), BreakerState::Closed, "not in a row");
        scene.fail();
        assert_eq!(scene.state(), BreakerState::Open);
    }

    #[test]
    fn an_open_breaker_turns_calls_away_for_thirty_seconds() {
        let mut scene = Scene::open();
        scene.later(29);
        let refused = scene.breaker.permit(scene.now).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert_eq!(
            refused.to_string(),
            "psp failed 5 times in a row and is left alone for another 1 s"
        );
        scene.later(1);
        assert!(scene.breaker.permit(scene.now).is_ok());
    }

    #[test]
    fn one_probe_at_a_time_passes_half_open() {
        let mut scene = Scene::open();
        scene.later(30);
        let probe = scene.breaker.permit(scene.now).unwrap();
        assert_eq!(scene.state(), BreakerState::HalfOpen);
        assert!(scene.breaker.permit(scene.now).is_err());
        probe.succeeded();
        assert_eq!(scene.state(), BreakerState::Closed);
        assert!(scene.breaker.permit(scene.now).is_ok());
    }

    #[test]
    fn a_failed_probe_opens_it_for_another_pause() {
        let mut scene = Scene::open();
        scene.later(30);
        scene.fail();
        assert_eq!(scene.state(), BreakerState::Open);
        scene.later(29);
        assert!(scene.breaker.permit(scene.now).is_err());
        scene.later(1);
        scene.succeed();
        assert_eq!(scene.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room_for_the_next() {
        let mut scene = Scene::open();
        scene.later(30);
        drop(scene.breaker.permit(scene.now).unwrap());
        assert_eq!(scene.state(), BreakerState::Open);
        assert!(scene.breaker.permit(scene.now).is_ok(), "without a pause");
    }

    #[test]
    fn a_call_from_before_it_opened_neither_closes_it_nor_prolongs_it() {
        let scene = Scene::new();
        let (early, earlier) = (
            scene.breaker.permit(scene.now).unwrap(),
            scene.breaker.permit(scene.now).unwrap(),
        );
        for _ in 0..5 {
            scene.fail();
        }
        early.succeeded();
        assert_eq!(scene.state(), BreakerState::Open);
        let second = Duration::from_secs(1);
        earlier.failed(scene.now + 20 * second, &"late");
        assert!(scene.breaker.permit(scene.now + 30 * second).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let scene = Scene::open();
        let before = scene.now - Duration::from_secs(3_600);
        assert!(scene.breaker.permit(before).is_err());
        let report = scene.breaker.report(before);
        assert_eq!(report.retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn it_counts_how_often_it_opened_and_turned_away() {
        let scene = Scene::open();
        for _ in 0..3 {
            assert!(scene.breaker.permit(scene.now).is_err());
        }
        let report = scene.breaker.report(scene.now);
        assert_eq!((report.opened_total, report.turned_away_total), (1, 3));
    }

    #[test]
    fn of_many_threads_one_gets_the_probe() {
        let mut scene = Scene::open();
        scene.later(30);
        let (breaker, now) = (Arc::new(scene.breaker), scene.now);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                std::thread::spawn(move || match breaker.permit(now) {
                    Ok(permit) => {
                        // Kept until all have asked.
                        std::mem::forget(permit);
                        1
                    }
                    Err(_) => 0,
                })
            })
            .collect();
        let probes: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(probes, 1);
    }
}
