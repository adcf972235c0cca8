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
    // Twice within its time, as sd_watchdog_enabled(3) advises.
    let every = deadline.map_or(LOOK_EVERY, |time| (time / 2).min(LOOK_EVERY));
    let mut loops = Loops::new(relay_turns, committer.clone());
    let mut words = Words::new();
    loop {
        wait(every, &mut phase, &mut words).await;
        failpoint::reach(failpoint::SUPERVISION_TURNS);
        let loops = loops.look(stuck_after);
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
struct Loops {
    relay_turns: watch::Receiver<u64>,
    committer: CommitterPulse,
    batches: u64,
    /// When each was last seen to turn.
    relay: Instant,
    posting: Instant,
}

impl Loops {
    fn new(relay_turns: watch::Receiver<u64>, committer: CommitterPulse) -> Self {
        Self {
            relay_turns,
            batches: committer.batches(),
            committer,
            relay: Instant::now(),
            posting: Instant::now(),
        }
    }

    fn look(&mut self, stuck_after: Duration) -> [LoopStanding; 2] {
        if self.relay_turns.has_changed().unwrap_or(false) {
            self.relay_turns.mark_unchanged();
            self.relay = Instant::now();
        }
        let batches = self.committer.batches();
        if self.committer.queued_commands() == 0 || batches != self.batches {
            self.batches = batches;
            self.posting = Instant::now();
        }
        [("relay", self.relay), ("committer", self.posting)].map(|(name, turned)| {
            let idle = turned.elapsed();
            gauges::idle(name, idle);
            LoopStanding::new(name, idle, stuck_after)
        })
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
