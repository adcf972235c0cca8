//! Locks on wallets, so that several daemons don't queue on PostgreSQL's row locks.
//!
//! `lock:wallet:{wallet_id}` holds `{owner_id, acquired_at}` and expires by itself. A batch takes
//! all of its wallets or none, in one call, waits a bounded time for others, and goes on without:
//! the row locks decide, these only keep daemons out of each other's way. An owner that paused
//! beyond its lease holds nothing any more, and does no harm.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redis::Script;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Cache, CacheError};

/// Takes all or none. What the same owner holds is taken over: its release may be under way. What
/// never expires is no lock of ours.
static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for _, key in ipairs(KEYS) do
             local held = redis.call('GET', key)
             if held and string.sub(held, 1, #ARGV[3]) ~= ARGV[3]
                 and redis.call('PTTL', key) > 0 then return 0 end
         end
         for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
         return 1",
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local released = 0
         for _, key in ipairs(KEYS) do
             if redis.call('GET', key) == ARGV[1] then released = released + redis.call('DEL', key) end
         end
         return released",
    )
});

/// Between two looks at locks that others hold.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long locks are held and waited for.
#[derive(Clone, Copy, Debug)]
pub struct LockOptions {
    /// After how long a lock is gone that nobody released.
    pub lease: Duration,
    /// How long a batch waits for others before it goes on without.
    pub wait: Duration,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            wait: Duration::from_millis(5),
        }
    }
}

/// One owner's access to the locks. It takes them for one batch at a time.
#[derive(Debug)]
pub struct Locks {
    cache: Cache,
    options: LockOptions,
    owner_id: Uuid,
}

/// What a lock says.
#[derive(Serialize)]
struct Held {
    /// Stands first: an owner knows its locks by how they begin.
    owner_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    acquired_at: OffsetDateTime,
}

impl Locks {
    /// A new owner.
    #[must_use]
    pub fn new(cache: Cache, options: LockOptions) -> Self {
        Self {
            cache,
            options,
            owner_id: Uuid::now_v7(),
        }
    }

    /// Takes the locks of these wallets, which stand in order. `None` where others held them for
    /// longer than one waits, or Redis is away: the batch goes on without.
    pub async fn acquire(&self, wallet_ids: &[Uuid]) -> Option<Lease> {
        if wallet_ids.is_empty() {
            return None;
        }
        let mut lease = Lease::new(self, wallet_ids);
        let began = Instant::now();
        loop {
            match self.take(&lease).await {
                Ok(true) => {
                    counted("taken");
                    return Some(lease);
                }
                Ok(false) => {}
                Err(error) => {
                    counted("unavailable");
                    tracing::debug!(%error, "wallets are not locked");
                    lease.armed = error.leaves_open();
                    return None;
                }
            }
            if began.elapsed() >= self.options.wait {
                counted("contended");
                lease.armed = false;
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn take(&self, lease: &Lease) -> Result<bool, CacheError> {
        let mut script = ACQUIRE.prepare_invoke();
        for key in lease.keys.iter() {
            script.key(key);
        }
        let lease_ms = u64::try_from(self.options.lease.as_millis()).unwrap_or(u64::MAX);
        let own = format!("{{\"owner_id\":\"{}\",", self.owner_id);
        script.arg(&*lease.text).arg(lease_ms.max(1)).arg(own);
        self.cache.run(&script).await
    }
}

fn counted(outcome: &'static str) {
    metrics::counter!("aegis_wallet_locks_total", "outcome" => outcome).increment(1);
}

/// Locks that are held. Dropped, they are released, in the background.
#[derive(Debug)]
pub struct Lease {
    cache: Cache,
    keys: Arc<[String]>,
    text: Arc<str>,
    armed: bool,
}

impl Lease {
    fn new(locks: &Locks, wallet_ids: &[Uuid]) -> Self {
        let key = |id| format!("lock:wallet:{id}");
        let held = Held {
            owner_id: locks.owner_id,
            acquired_at: OffsetDateTime::now_utc(),
        };
        Self {
            cache: locks.cache.clone(),
            keys: wallet_ids.iter().map(key).collect(),
            // An id and a time can always be written.
            text: serde_json::to_string(&held).unwrap_or_default().into(),
            armed: true,
        }
    }

    /// Releases what is still held by this lease: how many that were.
    ///
    /// # Errors
    /// Where Redis fails. The locks expire.
    pub async fn release(mut self) -> Result<u64, CacheError> {
        self.armed = false;
        let (keys, text) = (Arc::clone(&self.keys), Arc::clone(&self.text));
        release(&self.cache, &keys, &text).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let cache = self.cache.clone();
        let (keys, text) = (Arc::clone(&self.keys), Arc::clone(&self.text));
        // Where it fails, they expire.
        runtime.spawn(async move { release(&cache, &keys, &text).await });
    }
}

async fn release(cache: &Cache, keys: &[String], text: &str) -> Result<u64, CacheError> {
    let mut script = RELEASE.prepare_invoke();
    for key in keys {
        script.key(key);
    }
    cache.run(script.arg(text)).await
}
