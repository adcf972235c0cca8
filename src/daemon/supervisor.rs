//! systemd, or whoever plays it: what it is told, and the socket that it hands over.
//!
//! The protocol is `sd_notify(3)` and `sd_listen_fds(3)`; without `NOTIFY_SOCKET` nobody is told
//! anything. The watchdog is fed only while the relay and the committer turn: a process that looks
//! alive and moves nothing is started anew.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::gauges;
use super::notify::Supervisor;
use crate::api::{CheckStatus, Liveness, LoopStanding, Readiness};
use crate::engine::CommitterPulse;
use crate::resilience::failpoint;

/// How often a status is made where no watchdog asks for more.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How soon is said again what the supervisor had no room for.
const AGAIN: Duration = Duration::from_millis(100);
const STOPPING: &str = "stopping: answering what was accepted, emptying the outbox";

/// The socket that the supervisor holds for this process, which connections wait at while it starts
/// anew; `None`: there is none, and the process opens its own.
pub(super) fn inherited_listener() -> std::io::Result<Option<TcpListener>> {
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

/// What the daemon is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving,
    Draining,
}

/// Told to stop before there was anything to watch.
pub(super) fn stopping_early() {
    // It ends at once, heard or not.
    let _ = Supervisor::of_environment().tell("STOPPING=1\n");
}

/// Feeds the watchdog and says what the daemon is doing, until it is dropped.
pub(super) async fn watch(
    address: SocketAddr,
    mut phase: watch::Receiver<Phase>,
    relay_turns: watch::Receiver<u64>,
    committer: CommitterPulse,
    readiness: watch::Receiver<Readiness>,
    liveness: watch::Sender<Liveness>,
    stuck_after: Duration,
) {
    let deadline = sd_notify::watchdog_enabled();
    let every = look_every(deadline, stuck_after);
    let mut turns = Turns::new(relay_turns, committer.clone());
    let mut words = Words::new();
    loop {
        wait(every, &mut phase, &mut words).await;
        failpoint::reach(failpoint::SUPERVISION_TURNS);
        let loops = turns.look(stuck_after);
        let stuck = loops.iter().find(|one| one.status != CheckStatus::Ok);
        words.feed = deadline.is_some() && stuck.is_none();
        if let Some(one) = stuck {
            tracing::error!(
                part = one.name,
                ms = u64::try_from(stuck_after.as_millis()).unwrap_or(u64::MAX),
                "a loop does not turn; the watchdog is not fed"
            );
        }
        let stuck = stuck.map(|one| one.name);
        liveness.send_replace(Liveness::new(loops.to_vec()));
        let at = *phase.borrow_and_update();
        words.phase(at);
        match at {
            Phase::Starting => {}
            Phase::Serving => {
                words.status(serving(address, &readiness.borrow(), &committer, stuck));
            }
            Phase::Draining => words.status(STOPPING.to_owned()),
        }
        words.say();
    }
}

/// Twice within the watchdog's time, as sd_watchdog_enabled(3) advises, and twice within the time after
/// which a loop counts as stuck: it is known not much later.
fn look_every(watchdog: Option<Duration>, stuck_after: Duration) -> Duration {
    let every = LOOK_EVERY.min(stuck_after / 2);
    watchdog.map_or(every, |time| every.min(time / 2))
}

/// Until it is time to look again, or the daemon is at something else.
async fn wait(every: Duration, phase: &mut watch::Receiver<Phase>, words: &mut Words) {
    let until = Instant::now() + every;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            Ok(()) = phase.changed() => return,
            () = tokio::time::sleep(AGAIN), if words.unsaid() => words.say(),
        }
    }
}

/// The loops that have to turn.
struct Turns {
    relay_turns: watch::Receiver<u64>,
    committer: CommitterPulse,
    idle: Idle,
}

impl Turns {
    fn new(relay_turns: watch::Receiver<u64>, committer: CommitterPulse) -> Self {
        Self {
            relay_turns,
            idle: Idle::new(committer.batches(), Instant::now()),
            committer,
        }
    }

    fn look(&mut self, stuck_after: Duration) -> [LoopStanding; 2] {
        let relay_turned = self.relay_turns.has_changed().unwrap_or(false);
        if relay_turned {
            self.relay_turns.mark_unchanged();
        }
        let seen = Seen {
            relay_turned,
            queued: self.committer.queued_commands(),
            batches: self.committer.batches(),
        };
        let idle = self.idle.after(&seen, Instant::now(), stuck_after);
        [("relay", idle[0]), ("committer", idle[1])].map(|(name, idle)| {
            gauges::idle(name, idle);
            LoopStanding::new(name, idle, stuck_after)
        })
    }
}

/// What a look saw.
struct Seen {
    relay_turned: bool,
    /// Commands that wait to be posted.
    queued: usize,
    /// Batches up to now.
    batches: u64,
}

/// When each loop was last seen to turn.
struct Idle {
    relay: Instant,
    posting: Instant,
    batches: u64,
    /// Whether the last look saw commands that wait.
    waits: bool,
    looked: Instant,
}

impl Idle {
    fn new(batches: u64, now: Instant) -> Self {
        Self {
            relay: now,
            posting: now,
            batches,
            waits: false,
            looked: now,
        }
    }

    /// For how long the relay and the committer have not turned.
    fn after(&mut self, seen: &Seen, now: Instant, stuck_after: Duration) -> [Duration; 2] {
        // So late a look means that the whole process stood still: nobody can be blamed.
        let all_stood_still = now - self.looked > stuck_after;
        self.looked = now;
        if seen.relay_turned || all_stood_still {
            self.relay = now;
        }
        // What waits has waited since this look at the earliest where the one before saw nothing.
        let begins_to_wait = !std::mem::replace(&mut self.waits, seen.queued > 0);
        let rests = seen.queued == 0 || begins_to_wait;
        if rests || seen.batches != self.batches || all_stood_still {
            self.batches = seen.batches;
            self.posting = now;
        }
        [now - self.relay, now - self.posting]
    }
}

/// What the supervisor is to be told, until it was.
struct Words {
    supervisor: Supervisor,
    phase: Phase,
    /// Beginnings and ends, a word a line.
    news: String,
    feed: bool,
    /// The last status, and whether it was said.
    status: String,
    status_said: bool,
}

impl Words {
    fn new() -> Self {
        Self {
            supervisor: Supervisor::of_environment(),
            phase: Phase::Starting,
            news: String::new(),
            feed: false,
            status: String::new(),
            status_said: true,
        }
    }

    fn phase(&mut self, phase: Phase) {
        if std::mem::replace(&mut self.phase, phase) == phase {
            return;
        }
        self.news.push_str(match phase {
            Phase::Starting => "",
            Phase::Serving => "READY=1\n",
            Phase::Draining => "STOPPING=1\n",
        });
    }

    fn status(&mut self, status: String) {
        if status != self.status {
            self.status = status;
            self.status_said = false;
        }
    }

    fn unsaid(&self) -> bool {
        self.feed || !self.status_said || !self.news.is_empty()
    }

    fn say(&mut self) {
        if !self.unsaid() {
            return;
        }
        let mut words = self.news.clone();
        if !self.status_said {
            // Into a text nothing fails.
            let _ = writeln!(words, "STATUS={}", self.status);
        }
        if self.feed {
            words.push_str("WATCHDOG=1\n");
        }
        if self.supervisor.tell(&words) {
            self.news.clear();
            (self.status_said, self.feed) = (true, false);
        }
    }
}

fn serving(
    address: SocketAddr,
    readiness: &Readiness,
    committer: &CommitterPulse,
    stuck: Option<&str>,
) -> String {
    let mut status = format!("serving {address}");
    match committer.queued_commands() {
        0 => {}
        many => status.push_str(&format!("; {many} commands are being posted")),
    }
    let amiss = readiness
        .checks
        .iter()
        .filter(|check| check.status != CheckStatus::Ok);
    for check in amiss {
        let detail = check.detail.as_deref().unwrap_or("not well");
        status.push_str(&format!("; {}: {detail}", check.name));
    }
    if let Some(name) = stuck {
        status.push_str(&format!("; the {name} is stuck"));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK_AFTER: Duration = Duration::from_secs(1);

    fn seen(relay_turned: bool, queued: usize, batches: u64) -> Seen {
        Seen {
            relay_turned,
            queued,
            batches,
        }
    }

    #[test]
    fn what_came_just_before_a_look_is_not_taken_for_stuck() {
        for (watchdog, stuck_after) in [(None, 1), (None, 60), (Some(30), 1), (Some(3), 60)] {
            let (watchdog, stuck_after) = (
                watchdog.map(Duration::from_secs),
                Duration::from_secs(stuck_after),
            );
            let every = look_every(watchdog, stuck_after);
            assert!(every <= LOOK_EVERY);
            assert!(watchdog.is_none_or(|time| every <= time / 2));
            let start = Instant::now();
            let mut idle = Idle::new(0, start);
            idle.after(&seen(true, 0, 0), start + every, stuck_after);
            // It came just before this look, and the next one is a little late.
            idle.after(&seen(true, 1, 0), start + every * 2, stuck_after);
            let late = start + every * 3 + Duration::from_millis(1);
            let [_, committer] = idle.after(&seen(true, 1, 0), late, stuck_after);
            assert!(committer < stuck_after, "{committer:?}");
        }
    }

    #[test]
    fn a_loop_that_does_not_turn_is_idle_and_one_that_has_nothing_to_post_is_not() {
        let start = Instant::now();
        let mut idle = Idle::new(7, start);
        let at = |tenths: u32| start + Duration::from_millis(100) * tenths;
        for tenths in [5, 10] {
            let relay = idle.after(&seen(false, 0, 7), at(tenths), STUCK_AFTER);
            assert_eq!(relay, [at(tenths) - start, Duration::ZERO]);
        }
        for tenths in [15, 20, 25] {
            let both = idle.after(&seen(true, 3, 7), at(tenths), STUCK_AFTER);
            assert_eq!(both, [Duration::ZERO, at(tenths) - at(15)]);
        }
        assert_eq!(
            idle.after(&seen(true, 3, 8), at(30), STUCK_AFTER)[1],
            Duration::ZERO
        );
    }

    #[test]
    fn a_process_that_stood_still_blames_none_of_its_loops() {
        let start = Instant::now();
        let mut idle = Idle::new(0, start);
        let late = start + STUCK_AFTER * 3;
        assert_eq!(
            idle.after(&seen(false, 2, 0), late, STUCK_AFTER),
            [Duration::ZERO; 2]
        );
        let later = late + STUCK_AFTER / 2;
        let idle = idle.after(&seen(false, 2, 0), later, STUCK_AFTER);
        assert_eq!(idle, [STUCK_AFTER / 2; 2]);
    }
}
