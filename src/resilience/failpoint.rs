//! Places where a fault test may stop the process in mid-step, by `AEGIS_FAILPOINTS`, such as
//! `relay.published=kill@3`: the third time that the relay gets there, the process dies as from
//! `kill -9`. Actions: `kill`; `stop`, as from `kill -STOP`; and `panic`, of the task that is there.
//! Several are separated by commas.
//!
//! Debug builds only: a release build reads no variable and passes every place at no cost.

/// Before a batch is written and committed.
pub const POSTING_COMMITS: &str = "posting.commits";
/// A batch is committed, and nobody knows yet.
pub const POSTING_COMMITTED: &str = "posting.committed";
/// Rows are claimed, and not published yet.
pub const RELAY_CLAIMED: &str = "relay.claimed";
/// The bus has acknowledged a claim whose rows are still there.
pub const RELAY_PUBLISHED: &str = "relay.published";
/// A refused event's dead letter is acknowledged, and its row still there.
pub const RELAY_BURIED: &str = "relay.buried";
/// A message's effect is written, and not committed.
pub const CONSUMER_COMMITS: &str = "consumer.commits";
/// A message's effect is committed, and its offset not.
pub const CONSUMER_COMMITTED: &str = "consumer.committed";
/// A failed message's dead letter is acknowledged, and the message not done with.
pub const CONSUMER_BURIED: &str = "consumer.buried";
/// Dead letters are indexed, and their offsets not committed.
pub const LETTERS_INDEXED: &str = "letters.indexed";
/// A dead letter is published again, and not marked.
pub const REPLAY_PUBLISHED: &str = "replay.published";
/// A payout run is frozen, and nothing of it is requested.
pub const PAYOUT_RUN_FROZEN: &str = "payout_run.frozen";
/// A payout of a run is requested, and not sent.
pub const PAYOUT_RUN_REQUESTED: &str = "payout_run.requested";
/// The PSP was called for a payout of a run, and what came of it is written.
pub const PAYOUT_RUN_SENT: &str = "payout_run.sent";
/// A payout is asked for, and not committed.
pub const PAYOUT_REQUESTS: &str = "payout.requests";
/// A payout is committed, and nobody knows yet.
pub const PAYOUT_REQUESTED: &str = "payout.requested";
/// A payout's attempt is committed, and the PSP not called.
pub const PAYOUT_CALLS: &str = "payout.calls";
/// The PSP has answered, and nothing of it is written.
pub const PAYOUT_CALLED: &str = "payout.called";
/// What the PSP answered is written, and not committed.
pub const PAYOUT_CONCLUDES: &str = "payout.concludes";
/// What the PSP answered is committed, and nobody knows yet.
pub const PAYOUT_CONCLUDED: &str = "payout.concluded";
/// The settlement of what matured looks at the ledgers.
pub const SETTLEMENT_TURNS: &str = "settlement.turns";
/// Readiness looks at the dependencies.
pub const READINESS_TURNS: &str = "readiness.turns";
/// The gauges are read.
pub const GAUGES_TURNS: &str = "gauges.turns";
/// The supervisor is about to be told.
pub const SUPERVISION_TURNS: &str = "supervision.turns";

/// All places, so that a wrong name is found.
pub const ALL: &[&str] = &[
    POSTING_COMMITS,
    POSTING_COMMITTED,
    RELAY_CLAIMED,
    RELAY_PUBLISHED,
    RELAY_BURIED,
    CONSUMER_COMMITS,
    CONSUMER_COMMITTED,
    CONSUMER_BURIED,
    LETTERS_INDEXED,
    REPLAY_PUBLISHED,
    PAYOUT_RUN_FROZEN,
    PAYOUT_RUN_REQUESTED,
    PAYOUT_RUN_SENT,
    PAYOUT_REQUESTS,
    PAYOUT_REQUESTED,
    PAYOUT_CALLS,
    PAYOUT_CALLED,
    PAYOUT_CONCLUDES,
    PAYOUT_CONCLUDED,
    SETTLEMENT_TURNS,
    READINESS_TURNS,
    GAUGES_TURNS,
    SUPERVISION_TURNS,
];

/// The process is at this place.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn reach(_: &'static str) {}

#[cfg(debug_assertions)]
pub use armed::reach;

#[cfg(debug_assertions)]
mod armed {
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Action {
        Kill,
        Stop,
        Panic,
    }

    #[derive(Debug)]
    pub(super) struct Armed {
        pub(super) place: String,
        pub(super) action: Action,
        pub(super) at: u64,
        reached: AtomicU64,
    }

    /// The process is at this place.
    pub fn reach(place: &'static str) {
        static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| match std::env::var("AEGIS_FAILPOINTS") {
            Ok(text) => parse(&text).unwrap_or_else(|problem| {
                tracing::error!(%problem, "AEGIS_FAILPOINTS is ignored");
                Vec::new()
            }),
            Err(_) => Vec::new(),
        });
        for point in armed.iter().filter(|point| point.place == place) {
            if point.reached.fetch_add(1, Ordering::Relaxed) + 1 == point.at {
                tracing::error!(place, action = ?point.action, "a fail point is reached");
                point.action.carry_out();
            }
        }
    }

    impl Action {
        fn carry_out(self) {
            match self {
                // As sudden as kill -9: nothing is dropped, flushed or told to anybody.
                Self::Kill => std::process::abort(),
                Self::Panic => std::panic::resume_unwind(Box::new("a fail point")),
                // Signals go to the whole process, whichever thread this is.
                Self::Stop => {
                    let own = std::process::id().to_string();
                    let mut kill = Command::new("kill");
                    kill.args(["-STOP", &own]).stderr(Stdio::null());
                    drop(kill.status());
                    // The signal stops one thread after the other; this one must not get ahead.
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }

    pub(super) fn parse(text: &str) -> Result<Vec<Armed>, String> {
        let points = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        points.map(parse_one).collect()
    }

    fn parse_one(text: &str) -> Result<Armed, String> {
        let wanted = || format!("{text:?} is not PLACE=ACTION or PLACE=ACTION@TIME");
        let (place, rest) = text.split_once('=').ok_or_else(wanted)?;
        let (action, at) = match rest.split_once('@') {
            Some((action, at)) => (action, at.parse().map_err(|_| wanted())?),
            None => (rest, 1),
        };
        let action = match action {
            "kill" => Action::Kill,
            "stop" => Action::Stop,
            "panic" => Action::Panic,
            _ => return Err(format!("{action:?} is neither kill nor stop nor panic")),
        };
        if !super::ALL.contains(&place) {
            return Err(format!(
                "there is no place {place:?}, only {}",
                super::ALL.join(", ")
            ));
        }
        Ok(Armed {
            place: place.to_owned(),
            action,
            at,
            reached: AtomicU64::new(0),
        })
    }
}

#[cfg(all(test, debug_assertions))]
#[expect(clippy::unwrap_used, reason = "a test that fails says where")]
mod tests {
    use super::armed::{Action, parse};

    #[test]
    fn a_place_is_armed_with_an_action_and_a_count() {
        let armed = parse("relay.published=kill@3, posting.commits=stop").unwrap();
        let read: Vec<_> = armed
            .iter()
            .map(|point| (point.place.as_str(), point.action, point.at))
            .collect();
        assert_eq!(
            read,
            [
                ("relay.published", Action::Kill, 3),
                ("posting.commits", Action::Stop, 1)
            ]
        );
    }

    #[test]
    fn a_wrong_place_action_or_count_is_told() {
        for (text, told) in [
            ("relay.publish=kill", "there is no place"),
            ("relay.published=pause", "neither kill nor stop nor panic"),
            ("relay.published=kill@soon", "PLACE=ACTION@TIME"),
            ("relay.published", "PLACE=ACTION"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(told), "{text}: {problem}");
        }
    }
}
