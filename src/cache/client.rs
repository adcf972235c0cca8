//! One connection for the process. It is made by the first call that needs it, shared by all, and
//! thrown away by a call that failed on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError, ScriptInvocation};
use tokio::sync::Mutex;

use super::CacheError;
use crate::config::SecretUrl;
use crate::resilience::breaker::{Breaker, BreakerOptions, BreakerReport};

/// How patient a [`Cache`] is.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// What one call may take, connecting included.
    pub timeout: Duration,
    /// When Redis is left alone.
    pub breaker: BreakerOptions,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(250),
            breaker: BreakerOptions::default(),
        }
    }
}

/// A connection without time limits of its own: whoever uses it bounds the call as a whole, connecting
/// included.
pub(super) fn unbounded() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}

/// Redis, bounded in time and behind a breaker. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Cache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: redis::Client,
    timeout: Duration,
    breaker: Breaker,
    slot: Mutex<Slot>,
}

/// The connection of now. Its number tells whether it is still the one that a call failed on.
#[derive(Default)]
struct Slot {
    number: u64,
    connection: Option<MultiplexedConnection>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.number)
    }
}

impl Cache {
    /// Connects when first asked.
    ///
    /// # Errors
    /// Where the address can't be read.
    pub fn new(address: &SecretUrl, options: CacheOptions) -> Result<Self, CacheError> {
        Ok(Self {
            shared: Arc::new(Shared {
                client: redis::Client::open(address.expose())?,
                timeout: options.timeout,
                breaker: Breaker::new("redis", options.breaker),
                slot: Mutex::default(),
            }),
        })
    }

    /// How its breaker stands.
    #[must_use]
    pub fn breaker(&self) -> BreakerReport {
        self.shared.breaker.report(Instant::now())
    }

    /// Runs a script.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CacheError> {
        let permit = self.shared.breaker.permit(Instant::now())?;
        let mut number = None;
        let asked = async {
            let (now, mut connection) = self.connection().await?;
            number = Some(now);
            script.invoke_async(&mut connection).await
        };
        let error = match tokio::time::timeout(self.shared.timeout, asked).await {
            Ok(Ok(answer)) => {
                permit.succeeded();
                return Ok(answer);
            }
            Ok(Err(error)) if is_about_the_key(&error) => {
                permit.succeeded();
                return Err(error.into());
            }
            Ok(Err(error)) => error.into(),
            Err(_) => CacheError::Timeout(self.shared.timeout),
        };
        if let Some(number) = number {
            self.throw_away(number);
        }
        permit.failed(Instant::now(), &error);
        Err(error)
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisError> {
        let mut slot = self.shared.slot.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok((slot.number, connection.clone()));
        }
        let client = &self.shared.client;
        let connection = client
            .get_multiplexed_async_connection_with_config(&unbounded())
            .await?;
        slot.number = slot.number.wrapping_add(1);
        slot.connection = Some(connection.clone());
        Ok((slot.number, connection))
    }

    /// A connection that a call failed on may be dead without knowing it.
    fn throw_away(&self, number: u64) {
        // Whoever holds the lock is looking for another connection already.
        if let Ok(mut slot) = self.shared.slot.try_lock()
            && slot.number == number
        {
            slot.connection = None;
        }
    }
}

/// Whether Redis works, and said no to what lies at one key. Any other no (out of memory, loading,
/// read-only, not allowed in) it would say to the next call, too.
fn is_about_the_key(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}
