//! systemd, or whoever plays it: what it is told, and the socket that it hands over.
//!
//! The protocol is `sd_notify(3)` and `sd_listen_fds(3)`; without `NOTIFY_SOCKET` nobody is told
//! anything. The watchdog is fed only while the relay and the committer turn: a process that looks
//! alive and moves nothing is started anew.

use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::gauges;
use crate::api::{CheckStatus, Liveness, LoopStanding, Readiness};
use crate::engine::CommitterPulse;

/// How often a status is made where no watchdog asks for more.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The socket that the supervisor holds for this process, which connections wait at while it starts
/// anew; `None`: there is none, and the process opens its own.
pub(super) fn inherited_listener() -> std::io::Result<Option<TcpListener>> {
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

/// The daemon serves.
pub(super) fn ready(address: SocketAddr) {
    let status = format!("serving {address}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The daemon drains.
pub(super) fn stopping() {
    let status = "stopping: answering what was accepted, emptying the outbox";
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Feeds the watchdog and says what the daemon is doing, until it is dropped.
pub(super) async fn watch(
    address: SocketAddr,
    mut relay_turns: watch::Receiver<u64>,
    committer: CommitterPulse,
    readiness: watch::Receiver<Readiness>,
    liveness: watch::Sender<Liveness>,
    stuck_after: Duration,
) {
    let deadline = sd_notify::watchdog_enabled();
    // Twice within its time, as sd_watchdog_enabled(3) advises.
    let every = deadline.map_or(LOOK_EVERY, |time| (time / 2).min(LOOK_EVERY));
    let mut relay = Turning::now();
    let mut posting = Turning::now();
    let mut batches = committer.batches();
    let mut told = String::new();
    loop {
        tokio::time::sleep(every).await;
        if relay_turns.has_changed().unwrap_or(false) {
            relay_turns.mark_unchanged();
            relay = Turning::now();
        }
        if committer.queued_commands() == 0 || committer.batches() != batches {
            batches = committer.batches();
            posting = Turning::now();
        }
        let loops = [("relay", &relay), ("committer", &posting)].map(|(name, turning)| {
            let idle = turning.0.elapsed();
            gauges::idle(name, idle);
            LoopStanding::new(name, idle, stuck_after)
        });
        let stuck = loops.iter().find(|one| one.status != CheckStatus::Ok);
        match stuck {
            Some(one) => tracing::error!(
                part = one.name,
                ms = u64::try_from(stuck_after.as_millis()).unwrap_or(u64::MAX),
                "a loop does not turn; the watchdog is not fed"
            ),
            None if deadline.is_some() => tell(&[NotifyState::Watchdog]),
            None => {}
        }
        let stuck = stuck.map(|one| one.name);
        liveness.send_replace(Liveness::new(loops.to_vec()));
        let status = status(address, &readiness.borrow(), &committer, stuck);
        if status != told {
            tell(&[NotifyState::Status(&status)]);
            told = status;
        }
    }
}

/// When a loop was last seen to turn.
struct Turning(Instant);

impl Turning {
    fn now() -> Self {
        Self(Instant::now())
    }
}

fn status(
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

/// A supervisor that doesn't listen holds nothing up.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the supervisor can't be told");
    }
}
