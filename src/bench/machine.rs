//! What the figures were measured on.

use serde::Serialize;

/// The machine and the server.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
    /// PostgreSQL's version.
    pub postgresql: String,
    /// PostgreSQL's `fsync` and `synchronous_commit`.
    pub durability: String,
    /// Whether this is an optimised build: figures of others say nothing.
    pub optimised: bool,
}

impl Machine {
    pub(super) fn new(postgresql: String, durability: String) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            postgresql,
            durability,
            optimised: !cfg!(debug_assertions),
        }
    }
}
