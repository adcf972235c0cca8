//! Redis, the only place that speaks to it. It answers faster what PostgreSQL knows, and is never
//! believed: without it, all goes on.
//!
//! `client` is the process's one connection, every call on it bounded in time and behind a breaker;
//! `idempotency` keeps what requests were answered; `locks` keep daemons out of each other's way.

mod client;
pub mod idempotency;
pub mod locks;

use std::time::Duration;

use crate::config::SecretUrl;
use crate::resilience::breaker::TurnedAway;

pub use client::{Cache, CacheOptions};

/// Why Redis did not answer. The messages hold no address, since an address may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Nothing came back in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The address can't be read, the connection was refused, or the server said no.
    #[error("{0}")]
    Redis(#[from] redis::RedisError),
    /// It failed too often and was not asked.
    #[error("{0}")]
    TurnedAway(#[from] TurnedAway),
}

impl CacheError {
    /// Whether what was asked may have taken effect all the same.
    fn leaves_open(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::Redis(error) => error.is_io_error(),
            Self::TurnedAway(_) => false,
        }
    }
}

/// Whether Redis answers, over a connection of its own.
///
/// # Errors
/// Where it doesn't, within `timeout`.
pub async fn ping(address: &SecretUrl, timeout: Duration) -> Result<(), CacheError> {
    let client = redis::Client::open(address.expose())?;
    let pinged = async {
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&client::unbounded())
            .await?;
        redis::cmd("PING").exec_async(&mut connection).await
    };
    Ok(tokio::time::timeout(timeout, pinged)
        .await
        .map_err(|_| CacheError::Timeout(timeout))??)
}
