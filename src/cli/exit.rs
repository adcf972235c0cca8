//! Exit codes, and the failures that lead to them.

use std::fmt;

use crate::config::ConfigError;
use crate::engine::PostError;
use crate::ledger::Rejection;
use crate::postgres;

/// What a command's exit code says. The codes are part of the interface and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; having nothing to do is done.
    Done,
    /// Something went wrong that should not have.
    Unexpected,
    /// The command line or the configuration is wrong.
    Usage,
    /// A rule of the ledger said no.
    Rejected,
    /// The command did its work and found something wrong.
    Found,
    /// Some items were done and some failed.
    Partly,
    /// Another run is at it.
    Busy,
    /// A dependency could not be reached.
    Unreachable,
    /// A person said no, or there was no terminal to ask on.
    Declined,
    /// Stopped by a signal.
    Interrupted,
}

impl Exit {
    /// All of them, in order of their codes.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Rejected,
        Self::Found,
        Self::Partly,
        Self::Busy,
        Self::Unreachable,
        Self::Declined,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Rejected => 3,
            Self::Found => 4,
            Self::Partly => 5,
            Self::Busy => 6,
            Self::Unreachable => 7,
            Self::Declined => 8,
            Self::Interrupted => 130,
        }
    }

    /// One line for a person who looks the code up.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; having nothing to do is done",
            Self::Unexpected => "something unexpected went wrong",
            Self::Usage => "the command line or the configuration is wrong; nothing was done",
            Self::Rejected => "a rule of the ledger said no; the code tells which",
            Self::Found => "something was found wrong (verify, reconcile, balance)",
            Self::Partly => "partly done: some items failed, were rejected or could not be read",
            Self::Busy => "another run is at it",
            Self::Unreachable => "a dependency could not be reached",
            Self::Declined => "a person said no, or there was no terminal to ask on",
            Self::Interrupted => "interrupted (Ctrl-C); stopped at a safe point",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what was asked, where the reason has an exit code of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The command line or the configuration is wrong: what, and what to write instead.
    Usage(String),
    /// A rule said no.
    Rejected {
        /// Stable code.
        code: &'static str,
        /// What happened, to which thing, and what to do about it.
        detail: String,
    },
    /// Another run is at it: at what.
    Busy(String),
    /// A dependency could not be reached: which, and what to do about it.
    Unreachable(String),
    /// Nobody said yes: what was not done, and what to do about it.
    Declined(String),
    /// Stopped by a signal: where, and how to go on.
    Interrupted(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Rejected { .. } => Exit::Rejected,
            Self::Busy(_) => Exit::Busy,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Declined(_) => Exit::Declined,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { code, detail } => write!(f, "{code}: {detail}"),
            Self::Usage(message)
            | Self::Busy(message)
            | Self::Unreachable(message)
            | Self::Declined(message)
            | Self::Interrupted(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected {
            code: rejection.code.as_str(),
            detail: rejection.detail,
        }
    }
}

/// The exit code of any error that a command ends with.
#[must_use]
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit();
    }
    let away = |error: &sqlx::Error| {
        use postgres::Failure::{Exhausted, Lost};
        matches!(postgres::classify(error), Lost | Exhausted)
    };
    for cause in error.chain() {
        if cause.is::<ConfigError>() {
            return Exit::Usage;
        }
        if let Some(PostError::Unavailable { .. } | PostError::Exhausted(_)) = cause.downcast_ref()
        {
            return Exit::Unreachable;
        }
        if cause.downcast_ref().is_some_and(away) {
            return Exit::Unreachable;
        }
    }
    Exit::Unexpected
}

/// An error with its causes in one line, each said once: some errors tell their cause themselves.
pub(crate) fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match (told.is_empty(), told.contains(&cause)) {
            (true, _) => cause,
            (false, true) => told,
            (false, false) => format!("{told}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let io = || std::io::Error::other("no space");
        let error = anyhow::Error::new(io()).context("in.csv can't be read");
        assert_eq!(told(&error), "in.csv can't be read: no space");
        let error = anyhow::Error::new(sqlx::Error::Io(io())).context("listing");
        assert_eq!(told(&error).matches("no space").count(), 1);
    }

    #[test]
    fn codes_are_those_of_the_interface() {
        let codes: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
    }

    #[test]
    fn a_lost_connection_deep_in_the_chain_is_unreachable() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let error = anyhow::Error::new(sqlx::Error::Io(io)).context("while listing wallets");
        assert_eq!(of(&error), Exit::Unreachable);
        assert_eq!(of(&anyhow::anyhow!("odd")), Exit::Unexpected);
    }

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let error = anyhow::Error::new(Failure::Usage("no".into())).context("line 3");
        assert_eq!(of(&error), Exit::Usage);
    }
}
