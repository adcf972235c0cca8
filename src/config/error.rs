//! What can be wrong with a configuration, in words that say what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Origin;

/// A configuration that must not be started with.
///
/// No message contains the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key that nobody reads, most often a slip of the pen.
    #[error(
        "unknown key `{key}` ({origin}): the nearest known key is `{nearest}`; \
         correct it or take it out"
    )]
    UnknownKey {
        /// The key as it was written, with its sections.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The known key (or section) that it resembles most.
        nearest: String,
    },

    /// A value of the wrong type or out of range.
    #[error("`{key}` is {got} ({origin}): it takes {wanted}")]
    Invalid {
        /// The key.
        key: String,
        /// Where the value stands.
        origin: Origin,
        /// The value in words; a secret is not shown.
        got: String,
        /// What the key takes.
        wanted: String,
    },

    /// `primary_env` in a file.
    #[error(
        "`primary_env` cannot be set in a file ({origin}), because it chooses the file: \
         take it out and set the environment variable PRIMARY_ENV"
    )]
    PrimaryEnvInFile {
        /// Where it stands.
        origin: Origin,
    },

    /// One file sets the same key twice, as `server.port:` and as `port:` under `server:`.
    #[error("`{key}` is set twice ({first} and {origin}): keep one of them")]
    SetTwice {
        /// The key.
        key: String,
        /// The first place.
        first: Origin,
        /// The second place.
        origin: Origin,
    },

    /// Two topics that share a name, so that one consumer would read the other's records.
    #[error(
        "`{key}` ({origin}) is `{topic}`, which is also the name of {other}: \
         give every topic and its `.dlq` a name of its own"
    )]
    TopicTwice {
        /// The key.
        key: &'static str,
        /// Where its value came from.
        origin: Origin,
        /// The name that is used twice.
        topic: String,
        /// The topic that has the name already.
        other: &'static str,
    },

    /// A file that could not be read.
    #[error(
        "cannot read the configuration file {}: {reason}; \
         give the path of a file that this user may read",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },

    /// A file that is not YAML.
    #[error("{origin} is not valid YAML: {detail}; correct the file")]
    Syntax {
        /// The file and, where known, the line.
        origin: Origin,
        /// What the parser said.
        detail: String,
    },

    /// A server which others could reach and which would let everybody in.
    #[error(
        "`server.host` is {host}, where other machines may reach it, and there are no API keys: \
         set SERVER_HOST to 127.0.0.1, and let a proxy on the same machine take who may call"
    )]
    ListenWithoutKeys {
        /// The address to listen on.
        host: String,
    },

    /// A supervisor's socket which others could reach, with a server behind it that would let
    /// everybody in.
    #[error(
        "the supervisor holds a socket at {address}, where other machines may reach it, and there \
         is no API key: set ListenStream= of aegisd.socket to 127.0.0.1:{}", address.port()
    )]
    InheritedWithoutKeys {
        /// Where the socket is.
        address: SocketAddr,
    },

    /// More than one of the above; each line of the message is one of them.
    #[error("{} problems in the configuration:{}", .0.len(), lines(.0))]
    Several(Vec<ConfigError>),
}

impl ConfigError {
    /// The problems one by one: the members of [`ConfigError::Several`], or itself alone.
    #[must_use]
    pub fn each(&self) -> &[ConfigError] {
        match self {
            Self::Several(errors) => errors,
            one => std::slice::from_ref(one),
        }
    }

    /// `Ok` for none, the error itself for one, else [`ConfigError::Several`].
    pub(super) fn gather(mut errors: Vec<ConfigError>) -> Result<(), ConfigError> {
        match errors.pop() {
            None => Ok(()),
            Some(one) if errors.is_empty() => Err(one),
            Some(last) => {
                errors.push(last);
                Err(Self::Several(errors))
            }
        }
    }
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}
