//! Attempts at a batch until one is known to have happened, or is known not to.
//!
//! A first attempt decides on the wallets that the engine knows, or reads them without locks, and
//! writes behind a fence: one round trip, or two. Where the fence broke, a key raced in or the
//! server undid the work, the batch runs again under row locks. A lost connection leaves open
//! whether the COMMIT took effect; the next attempt finds the keys, or doesn't: their row locks and
//! the unique key make it wait for a server that is still at it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::decision::Decided;
use super::directory::Directory;
use super::job::{Fence, Job, Step, answer};
use super::known::Known;
use super::measured::{self, Steps};
use super::{PostError, Request};
use crate::cache::locks::Locks;
use crate::ledger::{Ledger, Outcome};
use crate::postgres::posting;
use crate::postgres::{self, Failure, Settings};
use crate::resilience::backoff::Reconnect;
use crate::resilience::failpoint;

/// From how many commands on COPY beats one call with arrays.
const COPY_COMMANDS_MIN: usize = 1_000;
const CONFLICTS_MAX: u32 = 20;
/// How long others may be in the way before the caller is told.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(3);
/// How long a lost database is tried again before the caller is told.
const LOST_PATIENCE: Duration = Duration::from_secs(5);

/// Posts batches over one connection of its own, one after the other.
///
/// One engine a database is fastest: two wait for each other's wallets. Several are safe.
#[derive(Debug)]
pub struct Engine {
    options: PgConnectOptions,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    topic: String,
    /// What keeps other engines on the same wallets out of the way, if anything.
    locks: Option<Locks>,
    line: Mutex<Line>,
}

/// What one batch at a time works with.
#[derive(Debug, Default)]
struct Line {
    /// Empty before the first use and after a loss.
    connection: Option<Connection>,
    /// Whether the last batch gave up on a server that it could not reach: the next one tries once.
    /// Callers who wait for a batch that waits run out of time otherwise.
    away: bool,
    directory: Directory,
    known: Known,
}

#[derive(Debug)]
struct Connection {
    conn: PgConnection,
    /// How many batches it has carried.
    batches: u64,
}

/// Where a batch stands between its attempts.
#[derive(Default)]
struct Progress {
    /// Whether the batch is of one request.
    alone: bool,
    /// How long a lost database is tried again.
    patience: Duration,
    attempts: u32,
    conflicts: u32,
    conflicting_since: Option<Instant>,
    /// Whether the next attempt locks what it reads.
    locking: bool,
    /// Ids that earlier attempts may have written.
    attempted: Vec<Uuid>,
    /// Whether a connection was lost that may have been writing: no failure after that can say that
    /// nothing took effect.
    open: bool,
    lost_since: Option<Instant>,
}

impl Engine {
    /// An engine that connects with its first batch and writes events for `topic`.
    #[must_use]
    pub fn new(settings: &Settings, topic: &str) -> Self {
        Self {
            options: settings.posting_options(),
            connect_timeout: settings.connect_timeout,
            // The server gives up first, and says so.
            attempt_timeout: settings
                .statement_timeout
                .saturating_add(Duration::from_secs(5)),
            topic: topic.to_owned(),
            locks: None,
            line: Mutex::default(),
        }
    }

    /// The same, which takes locks on its wallets before the rows'.
    #[must_use]
    pub fn with_locks(self, locks: Locks) -> Self {
        Self {
            locks: Some(locks),
            ..self
        }
    }

    /// Posts requests of one ledger as one database transaction: the outcomes of each request's
    /// commands, in order.
    ///
    /// # Errors
    /// See [`PostError`]. Only [`PostError::Unavailable`] leaves open whether it took effect.
    pub async fn post(
        &self,
        ledger: &Ledger,
        requests: &[Request],
    ) -> Result<Vec<Vec<Outcome>>, PostError> {
        let flat = self.post_flat(ledger, requests).await?;
        let mut flat = flat.into_iter();
        Ok(requests
            .iter()
            .map(|request| flat.by_ref().take(request.commands.len()).collect())
            .collect())
    }

    async fn post_flat(
        &self,
        ledger: &Ledger,
        requests: &[Request],
    ) -> Result<Vec<Outcome>, PostError> {
        let mut line = self.line.lock().await;
        let Line {
            connection,
            away,
            directory,
            known,
        } = &mut *line;
        let job = Job::new(ledger, requests, &self.topic);
        let mut progress = Progress {
            alone: requests.len() == 1,
            patience: if *away { Duration::ZERO } else { LOST_PATIENCE },
            ..Progress::default()
        };
        let mut reconnect = Reconnect::default();
        measured::batch(job.keys.len());
        loop {
            progress.attempts = progress.attempts.saturating_add(1);
            // Taken out, so that a caller who stops waiting leaves no half-used connection behind.
            let attempt = self.attempt(connection.take(), directory, known, &job, &mut progress);
            let error = match tokio::time::timeout(self.attempt_timeout, attempt).await {
                Ok(Ok((conn, done))) => {
                    *connection = Some(conn);
                    *away = false;
                    match done {
                        Some(outcomes) => {
                            measured::outcomes(&outcomes);
                            return Ok(outcomes);
                        }
                        None => {
                            measured::again("fence");
                            known.forget();
                            progress.locking = true;
                            continue;
                        }
                    }
                }
                Ok(Err(Attempt::Failed {
                    connection: usable,
                    error,
                })) => {
                    *connection = usable;
                    error
                }
                Ok(Err(Attempt::Event(message))) => return Err(PostError::Event(message)),
                Err(_) => sqlx::Error::PoolTimedOut,
            };
            known.forget();
            if let Err(error) = progress.after(error) {
                *away = connection.is_none();
                return Err(error);
            }
            measured::again(match progress.lost_since {
                Some(_) => "lost",
                None => "conflict",
            });
            if progress.lost_since.is_some() {
                tokio::time::sleep(reconnect.next_delay()).await;
            }
        }
    }

    /// For each request, whether it names a wallet that somebody else has locked now.
    ///
    /// # Errors
    /// Where the database fails.
    pub(super) async fn locked_out(
        &self,
        ledger: &Ledger,
        requests: &[Request],
    ) -> sqlx::Result<Vec<bool>> {
        let mut line = self.line.lock().await;
        let asking = self.ask_for_locks(&mut line, ledger, requests);
        // A server that says nothing must not hold up whoever comes after this batch.
        tokio::time::timeout(self.attempt_timeout, asking)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn ask_for_locks(
        &self,
        line: &mut Line,
        ledger: &Ledger,
        requests: &[Request],
    ) -> sqlx::Result<Vec<bool>> {
        let mut connection = match line.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let conn = &mut connection.conn;
        let all = line.directory.resolve(conn, ledger.id, requests).await?;
        let free = posting::unlocked(conn, ledger.id, &all).await?;
        let mut locked = Vec::with_capacity(requests.len());
        for request in requests {
            let own = std::slice::from_ref(request);
            let ids = line.directory.resolve(conn, ledger.id, own).await?;
            locked.push(ids.iter().any(|id| !free.contains(id)));
        }
        line.connection = Some(connection);
        Ok(locked)
    }

    async fn attempt(
        &self,
        connection: Option<Connection>,
        directory: &mut Directory,
        known: &mut Known,
        job: &Job<'_>,
        progress: &mut Progress,
    ) -> Result<(Connection, Option<Vec<Outcome>>), Attempt> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => {
                let conn = self.connect().await.map_err(Attempt::lost)?;
                // Another server may hold another history.
                *directory = Directory::default();
                known.forget();
                progress.patience = LOST_PATIENCE;
                conn
            }
        };
        // Plans that were made while tables were small may go by the wrong key. They are made anew
        // ever more seldom: what was planned is never long out of proportion to what is there.
        if connection.batches.is_power_of_two() {
            posting::forget_plans(&mut connection.conn)
                .await
                .map_err(Attempt::lost)?;
        }
        let done = self.try_once(&mut connection.conn, directory, known, job, progress);
        match done.await {
            Ok(done) => {
                connection.batches = connection.batches.saturating_add(1);
                Ok((connection, done))
            }
            Err(Step::Database(error)) if postgres::classify(&error) == Failure::Lost => {
                Err(Attempt::lost(error))
            }
            Err(Step::Database(error)) => Err(Attempt::Failed {
                connection: Some(connection),
                error,
            }),
            Err(Step::Event(message)) => Err(Attempt::Event(message)),
        }
    }

    /// `None` where the fence broke.
    async fn try_once(
        &self,
        conn: &mut PgConnection,
        directory: &mut Directory,
        known: &mut Known,
        job: &Job<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Vec<Outcome>>, Step> {
        let mut steps = Steps::begin();
        let wallet_ids = directory.resolve(conn, job.ledger.id, job.requests).await?;
        steps.done("resolve");
        // Held to the end of the attempt, or not: the row locks decide.
        let _lease = match &self.locks {
            Some(locks) => {
                let lease = locks.acquire(&wallet_ids).await;
                steps.done("locks");
                lease
            }
            None => None,
        };
        let weight: usize = job.requests.iter().map(Request::weight).sum();
        let large = weight >= COPY_COMMANDS_MIN;
        if !large && !progress.locking {
            if let Some(found) = known.recall(job.ledger.id, &wallet_ids) {
                let decided = job.decide(conn, &found).await?;
                steps.done("decide");
                if decided.all_posted() {
                    return write(conn, known, job, decided, progress, steps).await;
                }
            }
            let found = posting::read(conn, job.ledger.id, &wallet_ids, &job.keys).await?;
            known.learn(job.ledger.id, &found);
            steps.done("read");
            let decided = job.decide(conn, &found).await?;
            steps.done("decide");
            return write(conn, known, job, decided, progress, steps).await;
        }
        // What this one leaves behind is read by the next.
        known.forget();
        let mut transaction = conn.begin().await?;
        let found = posting::lock(&mut transaction, job.ledger.id, &wallet_ids, &job.keys).await?;
        steps.done("read");
        let decided = job.decide(&mut transaction, &found).await?;
        steps.done("decide");
        let stored = job.stored(&mut transaction, &decided).await?;
        progress.writes(&decided);
        if large {
            job.write_copy(&mut transaction, &decided).await?;
        } else if job.write_fenced(&mut transaction, &decided).await? == Fence::Broken {
            return Ok(None);
        }
        steps.done("write");
        failpoint::reach(failpoint::POSTING_COMMITS);
        transaction.commit().await?;
        failpoint::reach(failpoint::POSTING_COMMITTED);
        steps.done("commit");
        measured::committed(if large { "copy" } else { "call" });
        answer(decided, &stored, &progress.attempted).map(Some)
    }

    async fn connect(&self) -> sqlx::Result<Connection> {
        let connecting = PgConnection::connect_with(&self.options);
        let conn = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(Connection { conn, batches: 0 })
    }
}

/// Writes a small batch, committed by itself. `None` where the fence broke.
async fn write(
    conn: &mut PgConnection,
    known: &mut Known,
    job: &Job<'_>,
    decided: Decided<'_>,
    progress: &mut Progress,
    mut steps: Steps,
) -> Result<Option<Vec<Outcome>>, Step> {
    let stored = job.stored(conn, &decided).await?;
    progress.writes(&decided);
    failpoint::reach(failpoint::POSTING_COMMITS);
    match job.write_fenced(conn, &decided).await? {
        Fence::Broken => return Ok(None),
        Fence::NothingToWrite => {}
        Fence::Held { xmin } => {
            failpoint::reach(failpoint::POSTING_COMMITTED);
            steps.done("write");
            measured::committed("call");
            known.wrote(job.ledger.id, &decided.batch, decided.recorded_at, xmin);
        }
    }
    answer(decided, &stored, &progress.attempted).map(Some)
}

impl Progress {
    /// From here on a lost connection leaves open whether these were written.
    fn writes(&mut self, decided: &Decided<'_>) {
        let ids = decided.batch.transactions.iter().map(|t| t.id);
        self.attempted.extend(ids);
    }

    /// Whether another attempt is worth it.
    fn after(&mut self, error: sqlx::Error) -> Result<(), PostError> {
        let key_raced = |error: &sqlx::Error| {
            error
                .as_database_error()
                .and_then(|error| error.constraint())
                .is_some_and(|name| {
                    name == "transactions_idempotency_key" || name == "transactions_pkey"
                })
        };
        match postgres::classify(&error) {
            Failure::Conflict => {}
            Failure::Unique if key_raced(&error) => {}
            Failure::Lost => {
                self.open |= !self.attempted.is_empty();
                let since = *self.lost_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.patience {
                    return Err(PostError::Unavailable {
                        source: Arc::new(error),
                    });
                }
                self.locking = true;
                return Ok(());
            }
            Failure::Exhausted => return Err(self.gives_up(error, PostError::Exhausted)),
            Failure::Unique | Failure::Permanent => {
                return Err(self.gives_up(error, PostError::Database));
            }
        }
        self.lost_since = None;
        self.locking = true;
        self.conflicts = self.conflicts.saturating_add(1);
        let since = *self.conflicting_since.get_or_insert_with(Instant::now);
        // The others of a batch don't wait for the one that names a locked wallet.
        let split = !self.alone && postgres::is_lock_timeout(&error);
        if split || self.conflicts >= CONFLICTS_MAX || since.elapsed() >= CONFLICT_PATIENCE {
            let attempts = self.attempts;
            return Err(self.gives_up(error, |source| PostError::Contended { attempts, source }));
        }
        Ok(())
    }

    fn gives_up(
        &self,
        error: sqlx::Error,
        nothing_took_effect: impl FnOnce(Arc<sqlx::Error>) -> PostError,
    ) -> PostError {
        let source = Arc::new(error);
        match self.open {
            true => PostError::Unavailable { source },
            false => nothing_took_effect(source),
        }
    }
}

/// How an attempt failed.
enum Attempt {
    Failed {
        connection: Option<Connection>,
        error: sqlx::Error,
    },
    Event(String),
}

impl Attempt {
    fn lost(error: sqlx::Error) -> Self {
        Self::Failed {
            connection: None,
            error,
        }
    }
}
