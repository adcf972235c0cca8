//! What the clients of a load asked for, and what they saw.

use std::time::{Duration, Instant};

use uuid::Uuid;

/// One transfer that was asked for, and what came of it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) key: String,
    pub(crate) source: &'static str,
    pub(crate) destination: &'static str,
    pub(crate) amount: i64,
    /// Whether its event is too large for a narrow topic.
    pub(crate) bulky: bool,
    /// Transfers of one atomic batch share it: all or none of them.
    pub(crate) batch: Option<String>,
    /// How often it was asked for.
    pub(crate) tries: u32,
    pub(crate) fate: Fate,
}

impl Sent {
    /// Whether it took effect.
    pub(crate) fn is_posted(&self) -> bool {
        matches!(self.fate, Fate::Posted { .. })
    }
}

/// The answer that a client goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// 201, or 200 with an answer from before.
    Posted { id: Uuid, replayed: bool },
    /// A rule's no, by its code.
    Rejected(String),
    /// None, and the client has given up.
    Unknown,
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    /// `None` where the connection broke or never was.
    pub(crate) status: Option<u16>,
    /// Whether it never was.
    pub(crate) unconnected: bool,
    pub(crate) retry_after: bool,
    /// What was said, where it was neither done nor a rule's no.
    pub(crate) problem: Option<String>,
}

/// All that the clients of a load saw.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) sent: Vec<Sent>,
    pub(crate) calls: Vec<Call>,
}

impl Log {
    /// How many calls were answered so.
    pub(crate) fn count(&self, status: u16) -> usize {
        let calls = self.calls.iter();
        calls.filter(|call| call.status == Some(status)).count()
    }

    /// The first call whose answer is none of these statuses; `None` stands for no answer at all.
    pub(crate) fn first_but(&self, expected: &[Option<u16>]) -> Option<&Call> {
        self.calls
            .iter()
            .find(|call| !expected.contains(&call.status))
    }

    /// The first call that was turned away for another reason than that others had its wallets for
    /// too long.
    pub(crate) fn first_503_but_contended(&self) -> Option<&Call> {
        let contended = |call: &Call| {
            let problem = call.problem.as_deref();
            problem.is_some_and(|problem| problem.contains(r#""code":"contended""#))
        };
        let mut turned_away = self.calls.iter().filter(|call| call.status == Some(503));
        turned_away.find(|call| !contended(call))
    }

    /// How many calls lost their connection.
    pub(crate) fn broken(&self) -> usize {
        let broken = |call: &&Call| call.status.is_none() && !call.unconnected;
        self.calls.iter().filter(broken).count()
    }

    /// How many calls lost their connection at this moment.
    pub(crate) fn broken_at(&self, moment: Instant) -> usize {
        let under_way =
            |call: &&Call| call.at < moment && moment < call.at + call.took && !call.unconnected;
        let calls = self.calls.iter().filter(under_way);
        calls.filter(|call| call.status.is_none()).count()
    }
}
