//! The rounds of a worker over what is due.

use std::fmt::Display;
use std::time::Duration;

use super::backoff::Reconnect;
use super::held_up::HeldUp;

/// Of one worker: what it says when it is held up and when it goes on, and how long it rests.
#[derive(Debug)]
pub struct Rounds {
    waits: &'static str,
    goes_on: &'static str,
    poll: Duration,
    reconnect: Reconnect,
    held: HeldUp,
}

impl Rounds {
    /// Rests for `poll` where nothing is due. Says `waits` once it fails, and `goes_on` once it
    /// succeeds again.
    #[must_use]
    pub fn new(poll: Duration, waits: &'static str, goes_on: &'static str) -> Self {
        Self {
            waits,
            goes_on,
            poll,
            reconnect: Reconnect::default(),
            held: HeldUp::default(),
        }
    }

    /// How long to rest after a round. Not at all where something was due, since more may be; longer
    /// each time that it fails. `is_away` tells what others watch and warn of.
    pub fn rest_after<E: Display>(
        &mut self,
        was_due: Result<bool, E>,
        is_away: impl FnOnce(&E) -> bool,
    ) -> Option<Duration> {
        match was_due {
            Ok(was_due) => {
                self.held.goes_on(self.goes_on);
                self.reconnect.reset();
                (!was_due).then_some(self.poll)
            }
            Err(error) => {
                self.held.failed(self.waits, &error, is_away(&error));
                Some(self.reconnect.next_delay())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_where_nothing_was_due_and_longer_the_oftener_it_fails() {
        let poll = Duration::from_secs(9);
        let mut rounds = Rounds::new(poll, "it waits", "it goes on");
        assert_eq!(rounds.rest_after(Ok::<_, &str>(true), |_| false), None);
        assert_eq!(
            rounds.rest_after(Ok::<_, &str>(false), |_| false),
            Some(poll)
        );
        let failed = |rounds: &mut Rounds| {
            let rest = rounds.rest_after(Err("away"), |_| true);
            rest.unwrap_or_default()
        };
        let first = failed(&mut rounds);
        for _ in 0..4 {
            failed(&mut rounds);
        }
        assert!(first > Duration::ZERO && failed(&mut rounds) > first);
    }
}
