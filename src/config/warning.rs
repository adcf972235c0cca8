//! What looks wrong but does not stop the start.

use std::fmt;

use super::Origin;

/// Something that a person probably did not mean. Print it, then go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An environment variable that nobody reads, one or two letters off a known one.
    NearMiss {
        /// The variable that is set.
        variable: String,
        /// The variable that may have been meant.
        nearest: &'static str,
    },
    /// A part of the database's address that is set nearer to the person than
    /// `database.url`, which wins nevertheless.
    Overshadowed {
        /// The key without effect.
        key: &'static str,
        /// Where it was set.
        origin: Origin,
        /// Where `database.url` was set.
        url: Origin,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NearMiss { variable, nearest } => write!(
                f,
                "the environment variable {variable} is not read by anything; \
                 was {nearest} meant?"
            ),
            Self::Overshadowed { key, origin, url } => write!(
                f,
                "`{key}` ({origin}) has no effect, because `database.url` ({url}) stands in \
                 for it; take one of them out"
            ),
        }
    }
}
