//! The half that tries again what failed, and gives up what failed too often.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::command::{Verdict, attempt};
use super::message::{span_of, working_on};
use super::{ConsumerError, NAME, Options, Shared};
use crate::bus::{Bus, PublishError, Record, topics};
use crate::event::{DeadLetter, Original};
use crate::postgres::retries::{self, Parked, Standing};
use crate::postgres::{consumed, in_time};
use crate::resilience::backoff::Reconnect;
use crate::resilience::failpoint;

/// While the bus is away, a letter waits so long.
const OUTAGE_WAIT: Duration = Duration::from_secs(5);
/// While others are in the way, a message waits so long.
pub(super) const CONFLICT_WAIT: Duration = Duration::from_secs(1);
/// How often what was noted long ago is forgotten, and how much at once.
const FORGET_EVERY: Duration = Duration::from_secs(600);
const FORGET_ROWS: i64 = 10_000;

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// A message took effect.
    Done,
    /// A message failed again and waits.
    Postponed,
    /// A message's dead letter is published.
    Buried,
    /// A dead letter found no bus; its message waits, and nothing is counted.
    BusAway,
    /// Nothing is due before this time (UTC), or as far as is known.
    Idle(Option<OffsetDateTime>),
}

/// Tries again what failed.
#[derive(Debug)]
pub struct Retries {
    shared: Shared,
    letters: Arc<Bus>,
}

/// Where to look for the next message: what stands behind the one that is done goes first.
#[derive(Debug, Default)]
pub struct Lane(Option<(String, Vec<u8>)>);

impl Retries {
    pub(super) fn new(shared: Shared, letters: Arc<Bus>) -> Self {
        Self { shared, letters }
    }

    /// Tries until stopped. What is in hand at the stop is not committed, and is tried again: a bus
    /// that is silent doesn't hold the stop up.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.go_on() => {}
        }
    }

    async fn go_on(&self) {
        let mut reconnect = Reconnect::default();
        let mut held = false;
        let mut forgotten_at = tokio::time::Instant::now();
        loop {
            let wait = match self.pass().await {
                Ok(wait) => {
                    if std::mem::take(&mut held) {
                        tracing::info!("messages are tried again");
                    }
                    reconnect.reset();
                    wait
                }
                Err(error) => {
                    if !std::mem::replace(&mut held, true) {
                        tracing::warn!(%error, "messages that failed can't be tried again");
                    }
                    reconnect.next_delay()
                }
            };
            if forgotten_at.elapsed() >= FORGET_EVERY {
                forgotten_at = tokio::time::Instant::now();
                if let Err(error) = self.forget(OffsetDateTime::now_utc()).await {
                    tracing::debug!(%error, "events of long ago were not forgotten");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shared.parked.notified(), if !held => {}
            }
        }
    }

    /// All that is due; how long nothing is.
    async fn pass(&self) -> Result<Duration, ConsumerError> {
        let mut conn = self.shared.pool.acquire().await?;
        let mut lane = Lane::default();
        let Options { poll, patience, .. } = self.shared.options;
        loop {
            let now = OffsetDateTime::now_utc();
            match in_time(patience, self.retry_once(&mut conn, &mut lane, now)).await {
                Ok(Retried::Idle(next)) => {
                    let wait = next.map_or(poll, |next| (next - now).unsigned_abs());
                    return Ok(wait.min(poll));
                }
                Ok(_) => {}
                Err(error) => {
                    conn.close_on_drop();
                    return Err(error);
                }
            }
        }
    }

    /// One message that is due.
    ///
    /// # Errors
    /// [`ConsumerError`] where nothing can be said about the message: it stays as it was.
    pub async fn retry_once(
        &self,
        conn: &mut PgConnection,
        lane: &mut Lane,
        now: OffsetDateTime,
    ) -> Result<Retried, ConsumerError> {
        let mut transaction = conn.begin().await?;
        let mut found = None;
        if let Some((topic, key)) = lane.0.take() {
            found = retries::next_of_lane(&mut transaction, NAME, &topic, &key, now).await?;
        }
        if found.is_none() {
            found = retries::next_due(&mut transaction, NAME, now).await?;
        }
        let Some(parked) = found else {
            let next = retries::next_time(&mut transaction, NAME, now).await?;
            return Ok(Retried::Idle(next));
        };
        let span = span_of(&parked.message, parked.attempts.saturating_add(1));
        let trying = self.tried(&mut transaction, &parked, now);
        let retried = match working_on(&parked.message, &span, trying).await {
            Err(error) if error.is_conflict() => {
                // Nothing is counted, and others go first.
                transaction.rollback().await?;
                let reason = error.to_string();
                postpone(conn, &parked, parked.attempts, now + CONFLICT_WAIT, &reason).await?;
                return Ok(Retried::Postponed);
            }
            retried => retried?,
        };
        span.within(transaction.commit()).await?;
        if matches!(retried, Retried::Done | Retried::Buried) {
            lane.0 = Some((parked.message.topic, parked.message.key));
        }
        Ok(retried)
    }

    async fn tried(
        &self,
        conn: &mut PgConnection,
        parked: &Parked,
        now: OffsetDateTime,
    ) -> Result<Retried, ConsumerError> {
        let schedule = &self.shared.options.schedule;
        if schedule.delay_after(parked.attempts).is_none() {
            // It had failed for the last time, and its letter found no place.
            let reason = parked.last_error.as_deref().unwrap_or("unknown");
            return self.bury(conn, parked, parked.attempts, reason, now).await;
        }
        let told_on = &self.shared.options.topic_transactions;
        let failures = parked.attempts.saturating_add(1);
        let (event_id, topic) = (parked.message.event_id, &parked.message.topic);
        match attempt(conn, &parked.message, told_on, now).await? {
            Verdict::Done => {
                retries::remove(conn, parked.id).await?;
                tracing::info!(%event_id, topic, attempts = failures, "a message took effect");
                Ok(Retried::Done)
            }
            Verdict::Unreadable(reason) => self.bury(conn, parked, failures, &reason, now).await,
            Verdict::Failed(reason) => match schedule.delay_after(failures) {
                None => self.bury(conn, parked, failures, &reason, now).await,
                Some(wait) => {
                    tracing::warn!(%event_id, topic, failures, reason, "a message failed and waits");
                    postpone(conn, parked, failures, now + wait, &reason).await?;
                    Ok(Retried::Postponed)
                }
            },
        }
    }

    /// Publishes a message's dead letter, and then forgets the message.
    async fn bury(
        &self,
        conn: &mut PgConnection,
        parked: &Parked,
        failures: u32,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<Retried, ConsumerError> {
        let message = &parked.message;
        // Of what can't be read nothing is counted: it is found unreadable again.
        let attempts = match self.shared.options.schedule.delay_after(failures) {
            None => failures,
            Some(_) => parked.attempts,
        };
        let record = match letter(parked, failures, reason, now) {
            Ok(record) => record,
            Err(error) => {
                let reason = format!("{reason} (no dead letter can be written: {error})");
                postpone(conn, parked, attempts, now + self.last_wait(), &reason).await?;
                return Ok(Retried::Postponed);
            }
        };
        let published = self.letters.publish(std::slice::from_ref(&record)).await;
        let (event_id, topic) = (message.event_id, &message.topic);
        match published.into_iter().next() {
            Some(Ok(())) => {
                failpoint::reach(failpoint::CONSUMER_BURIED);
                retries::remove(conn, parked.id).await?;
                tracing::error!(%event_id, topic, failures, reason, "a message became a dead letter");
                Ok(Retried::Buried)
            }
            Some(Err(PublishError::Refused { reason: no })) => {
                tracing::error!(
                    %event_id, topic, to = record.topic, reason = no,
                    "a dead letter was refused; its message waits in consumer_retries"
                );
                postpone(conn, parked, attempts, now + self.last_wait(), reason).await?;
                Ok(Retried::Postponed)
            }
            Some(Err(PublishError::Outage(_) | PublishError::Held)) | None => {
                postpone(conn, parked, attempts, now + OUTAGE_WAIT, reason).await?;
                Ok(Retried::BusAway)
            }
        }
    }

    fn last_wait(&self) -> Duration {
        let schedule = &self.shared.options.schedule;
        schedule.delay_after(schedule.waits()).unwrap_or_default()
    }

    /// Forgets what is older than it has to be remembered; how much.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget(&self, now: OffsetDateTime) -> sqlx::Result<u64> {
        let before = now - self.shared.options.remembered;
        let mut conn = self.shared.pool.acquire().await?;
        let mut all = 0;
        loop {
            let some = consumed::forget_before(&mut conn, before, FORGET_ROWS);
            let some = in_time(self.shared.options.patience, some).await;
            let some = some.inspect_err(|_| conn.close_on_drop())?;
            all += some;
            if some == 0 {
                return Ok(all);
            }
        }
    }
}

async fn postpone(
    conn: &mut PgConnection,
    parked: &Parked,
    attempts: u32,
    next_attempt_at: OffsetDateTime,
    reason: &str,
) -> sqlx::Result<()> {
    let standing = Standing {
        attempts,
        next_attempt_at,
        last_error: Some(reason),
    };
    retries::postpone(conn, parked.id, standing).await
}

fn letter(
    parked: &Parked,
    failures: u32,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Record, crate::event::EventError> {
    let message = &parked.message;
    let original = Original {
        topic: &message.topic,
        key: &message.key,
        headers: &message.headers,
        payload: &message.payload,
    };
    let correlation_id = message.correlation_id.clone();
    let letter = DeadLetter::new(original, reason, failures, now, correlation_id)?;
    Ok(Record {
        topic: topics::dead_letters_of(&message.topic),
        key: message.key.clone(),
        headers: letter.record_headers(Some(message.event_id)),
        payload: letter.to_json()?,
    })
}
