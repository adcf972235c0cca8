//! What requests were answered, by their idempotency keys, so that repeats need no database.
//!
//! `idempotency:{merchant or -}:{key}` holds a record as JSON. While the request is under way it is
//! a mark with the name of its owner, which expires by itself; afterwards it is the answer, for a
//! day. Only the owner replaces or removes a mark. What can't be read, and what requests to another
//! database or ledger left, is as good as nothing.

mod record;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::Script;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Cache, CacheError};
use record::{Record, Status};

pub use record::Answer;

/// How long an answer is kept.
pub const ANSWER_KEPT: Duration = Duration::from_secs(86_400);
/// How long a mark stays that its owner does not prolong. A request may take longer, and those that
/// a killed process left are not kept waiting for longer than this.
const MARK_KEPT: Duration = Duration::from_secs(2);
const MARK_PROLONGED_EVERY: Duration = Duration::from_millis(500);

/// Looks, and takes the key where nothing is at it, or just what was found unreadable before.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = redis.call('GET', KEYS[1])
         if found and found ~= ARGV[3] then return found end
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
         return false",
    )
});

/// Replaces the mark, or what is left of an expired one, by the answer.
static FINISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = redis.call('GET', KEYS[1])
         if found and found ~= ARGV[1] then return 0 end
         redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
         return 1",
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
         return 0",
    )
});

static PROLONG: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
    )
});

/// The records of one database's requests. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Records {
    cache: Cache,
    database: Arc<str>,
}

/// A request that begins.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose key it is.
    pub merchant: Option<&'a str>,
    /// The ledger that the path names: each ledger has keys of its own.
    pub ledger: Option<&'a str>,
    /// The key.
    pub key: &'a str,
    /// What makes it the same as another.
    pub request_hash: &'a str,
}

/// What a request meets at its key.
#[derive(Debug)]
pub enum Begun {
    /// Nothing: the request goes on under this mark.
    Ours(Mark),
    /// Another request is under way.
    InFlight,
    /// Another request was answered.
    Reused,
    /// The same request was answered so.
    Answered(Answer),
    /// Redis doesn't tell: the request goes on without a mark.
    Unknown,
}

impl Records {
    /// The records that requests to `database` leave.
    #[must_use]
    pub fn new(cache: Cache, database: &str) -> Self {
        Self {
            cache,
            database: database.into(),
        }
    }

    /// Begins a request: looks at its key and marks it.
    pub async fn begin(&self, asked: Asked<'_>) -> Begun {
        let request_hash = asked.request_hash;
        let mut mark = Mark::new(self, asked);
        let mut unreadable = Vec::new();
        // The second turn takes the place of what the first found unreadable.
        for _ in 0..2 {
            let found: Option<Vec<u8>> = match mark.claim(&unreadable).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::debug!(%error, "requests are not looked up");
                    // Of what timed out or broke off nobody knows whether it took effect.
                    mark.armed = error.leaves_open();
                    return Begun::Unknown;
                }
            };
            let Some(found) = found else {
                return Begun::Ours(mark);
            };
            mark.armed = false;
            match Record::read(&found, &mark.scope) {
                Some(record) => return begun(record, request_hash),
                None => tracing::debug!(key = mark.key, "a record is not ours or can't be read"),
            }
            unreadable = found;
            mark.armed = true;
        }
        mark.armed = false;
        Begun::Unknown
    }
}

fn begun(record: Record<'_>, request_hash: &str) -> Begun {
    match (record.status, record.response) {
        // Whether the key will be taken is not known yet, so another request is told the same.
        (Status::InFlight, _) => Begun::InFlight,
        (Status::Done, _) if record.request_hash != request_hash => Begun::Reused,
        (Status::Done, Some(response)) => Begun::Answered(response),
        (Status::Done, None) => Begun::Unknown,
    }
}

/// That a request is under way. Dropped without an answer it is taken back.
#[derive(Debug)]
pub struct Mark {
    records: Records,
    key: String,
    scope: String,
    request_hash: String,
    created_at: OffsetDateTime,
    text: String,
    armed: bool,
}

impl Mark {
    fn new(records: &Records, asked: Asked<'_>) -> Self {
        let merchant = asked.merchant.unwrap_or("-");
        let ledger = asked.ledger.unwrap_or("-");
        let mut mark = Self {
            records: records.clone(),
            key: format!("idempotency:{merchant}:{}", asked.key),
            scope: format!("{}/{ledger}", records.database),
            request_hash: asked.request_hash.to_owned(),
            created_at: OffsetDateTime::now_utc(),
            text: String::new(),
            armed: true,
        };
        mark.text = mark.record(None, Some(Uuid::now_v7()));
        mark
    }

    fn record(&self, response: Option<Answer>, owner: Option<Uuid>) -> String {
        let status = match response {
            Some(_) => Status::Done,
            None => Status::InFlight,
        };
        let record = Record {
            request_hash: self.request_hash.as_str().into(),
            response,
            status,
            created_at: self.created_at,
            scope: self.scope.as_str().into(),
            owner,
        };
        record.write()
    }

    async fn claim(&self, unreadable: &[u8]) -> Result<Option<Vec<u8>>, CacheError> {
        let mut script = CLAIM.key(&self.key);
        script.arg(&self.text).arg(ms(MARK_KEPT));
        self.records.cache.run(script.arg(unreadable)).await
    }

    /// Keeps the mark from expiring while the request is under way. Never ends.
    pub async fn prolong(&self) -> Infallible {
        loop {
            tokio::time::sleep(MARK_PROLONGED_EVERY).await;
            let script = &mut PROLONG.key(&self.key);
            let script = script.arg(&self.text).arg(ms(MARK_KEPT));
            // Where it fails the mark expires, and a repeat goes to PostgreSQL.
            drop(self.records.cache.run::<i64>(script).await);
        }
    }

    /// Puts the answer in the mark's place. Where that fails, PostgreSQL answers the repeats.
    pub async fn answered(mut self, answer: Answer) {
        let text = self.record(Some(answer), None);
        let mut script = FINISH.key(&self.key);
        script.arg(&self.text).arg(text).arg(ms(ANSWER_KEPT));
        let written: Result<i64, _> = self.records.cache.run(&script).await;
        self.armed = written.is_err();
    }

    /// Takes the mark back: the request had no effect that a repeat should be told of.
    pub async fn taken_back(mut self) {
        self.armed = release(&self.records.cache, &self.key, &self.text)
            .await
            .is_err();
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let cache = self.records.cache.clone();
        let (key, text) = (
            std::mem::take(&mut self.key),
            std::mem::take(&mut self.text),
        );
        // Where it fails, the mark expires.
        runtime.spawn(async move { release(&cache, &key, &text).await });
    }
}

async fn release(cache: &Cache, key: &str, text: &str) -> Result<i64, CacheError> {
    cache.run(RELEASE.key(key).arg(text)).await
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
