//! The relay: one at a time for a database, by an advisory lock on the connection that claims and
//! removes. A relay whose connection dies loses the lock and can remove nothing any more; another
//! takes over. The server ends the connection of a relay that says nothing for a while: a process
//! that hangs doesn't keep the lock.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{measured, wakeup};
use crate::bus::{Bus, PublishError, Record, topics};
use crate::event::{DeadLetter, Envelope, EventError, EventType, Original, header};
use crate::postgres::outbox::{self, Pending};
use crate::resilience::backoff::{Reconnect, Schedule};
use crate::resilience::failpoint;
use crate::telemetry::span::{self, Kind};

/// Bounds and rhythm of a [`Relay`].
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// The most events of one ledger in one claim.
    pub claim_rows_max: u32,
    /// How often to look without being notified, and how often a stand-by asks for the lock.
    pub poll: Duration,
    /// When a refused event is tried again, and after how many refusals it is a dead letter.
    pub schedule: Schedule,
}

/// Between claims that did not fill up: under load, events then go out by the hundred rather than
/// by the handful. The first one after a pause goes at once.
const GATHER: Duration = Duration::from_millis(20);

/// Well within the time after which the server takes the lock of a silent relay back.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Longer than the server gives a statement, and than the bus gives a claim.
const STEP_MAX: Duration = Duration::from_secs(60);

/// How often a rest counts as a turn: less than the least after which a loop is held to be stuck.
const TURN: Duration = Duration::from_millis(500);

/// How often a claim looks at the whole outbox.
const LOOK_AT_ALL: Duration = Duration::from_secs(1);

/// Where claims begin. Rows become visible out of the order of their ids, so what lies before it is
/// looked at once a second; in between, claims don't pass again what was removed, which a long
/// snapshot elsewhere keeps from being cleared away.
#[derive(Debug, Default)]
struct Floor {
    id: i64,
    looked_at: Option<OffsetDateTime>,
    /// Where the last claim began.
    last: i64,
}

impl Floor {
    /// The floor of the claim that is made now: 0 where it looks at all.
    fn at(&mut self, now: OffsetDateTime) -> i64 {
        let fresh = |at: OffsetDateTime| (now - at).unsigned_abs() < LOOK_AT_ALL;
        if self.looked_at.is_some_and(fresh) {
            self.last = self.id;
        } else {
            self.looked_at = Some(now);
            self.last = 0;
        }
        self.last
    }

    /// How long to wait after a claim that found nothing: what woke the relay may lie before a floor.
    fn rest(&self, poll: Duration) -> Duration {
        match self.last {
            0 => poll,
            _ => poll.min(LOOK_AT_ALL),
        }
    }

    /// Nothing that could be seen lies before this row.
    fn rise(&mut self, first: i64) {
        self.id = first.saturating_sub(1);
    }
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// So many events reached the bus; there may be more.
    Batch(usize),
    /// Nothing waits that may go out now.
    Idle,
    /// The bus could not be reached. So many events had got through before.
    Outage {
        /// Events that reached the bus.
        published: usize,
        /// What the bus said.
        reason: String,
    },
}

/// Why a step failed: the relay starts over with a new connection.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The database failed; nothing is lost, some events may be published again.
    #[error("the outbox can't be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// Nothing came back for a minute.
    #[error("the database or the bus did not answer in time")]
    Silent,
    /// A stored event can't be brought into its form on the wire.
    #[error("an event in the outbox can't be read: {0}")]
    Event(#[from] EventError),
}

/// Moves events from the outbox to the bus.
#[derive(Debug)]
pub struct Relay {
    pool: PgPool,
    bus: Arc<Bus>,
    letters: Arc<Bus>,
    options: RelayOptions,
    turns: tokio::sync::watch::Sender<u64>,
}

impl Relay {
    /// A relay between this database and this bus.
    #[must_use]
    pub fn new(pool: PgPool, bus: Arc<Bus>, options: RelayOptions) -> Self {
        let letters = Arc::clone(&bus);
        Self {
            pool,
            bus,
            letters,
            options,
            turns: tokio::sync::watch::Sender::new(0),
        }
    }

    /// The same with dead letters on a bus of their own, which takes larger records.
    #[must_use]
    pub fn with_letters(self, letters: Arc<Bus>) -> Self {
        Self { letters, ..self }
    }

    /// Counts the turns of the loop, so that a watchdog sees that it turns.
    #[must_use]
    pub fn turns(&self) -> tokio::sync::watch::Receiver<u64> {
        self.turns.subscribe()
    }

    fn turned(&self) {
        self.turns
            .send_modify(|turns| *turns = turns.wrapping_add(1));
    }

    /// Relays until stopped; then what still waits goes out, unless the bus is away.
    pub async fn run(&self, stop: CancellationToken) {
        let wake = Arc::new(Notify::new());
        let listener = tokio::spawn(wakeup::listen(
            self.pool.clone(),
            Arc::clone(&wake),
            stop.clone(),
        ));
        measured::stands_by();
        let mut reconnect = Reconnect::default();
        let mut lost = false;
        loop {
            self.turned();
            match self.lead(&wake, &stop, &mut reconnect, &mut lost).await {
                Ok(()) => break,
                Err(error) if std::mem::replace(&mut lost, true) => {
                    tracing::debug!(%error, "the relay starts over again");
                }
                Err(error) => tracing::warn!(%error, "the relay starts over"),
            }
            tokio::select! {
                () = self.rest(reconnect.next_delay()) => {}
                () = stop.cancelled() => break,
            }
        }
        listener.abort();
    }

    /// Sleeps. The loop turns meanwhile: it has nothing to do, and hangs in nothing.
    async fn rest(&self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        loop {
            self.turned();
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(TURN)).await;
        }
    }

    /// Waits for the lock, then relays over the connection that holds it until stopped.
    async fn lead(
        &self,
        wake: &Notify,
        stop: &CancellationToken,
        reconnect: &mut Reconnect,
        lost: &mut bool,
    ) -> Result<(), RelayError> {
        let mut conn = in_time(outbox::dedicated(&self.pool)).await??;
        while !in_time(outbox::try_lock_relay(&mut conn)).await?? {
            self.turned();
            tokio::select! {
                waited = alive(&mut conn, self.rest(self.options.poll)) => waited?,
                () = stop.cancelled() => return Ok(()),
            }
        }
        tracing::info!("this relay has the outbox");
        let _leading = measured::Leading::begin();
        let (mut away, mut floor) = (false, Floor::default());
        loop {
            self.turned();
            // Asked before the claim: what was committed before the stop is in it.
            let stopping = stop.is_cancelled();
            if stopping {
                floor = Floor::default();
            }
            let step = self.step(&mut conn, &mut floor, OffsetDateTime::now_utc());
            let relayed = in_time(step).await??;
            *lost = false;
            let wait = match relayed {
                // Also where all of it was refused: it waits for its next attempt now, and no longer
                // stands before the others.
                Relayed::Batch(count) => {
                    if std::mem::take(&mut away) {
                        tracing::info!("the bus is back");
                    }
                    reconnect.reset();
                    // Some of a full claim may have been held back.
                    let full = u32::try_from(count)
                        .is_ok_and(|n| n.saturating_mul(2) >= self.options.claim_rows_max);
                    if full {
                        continue;
                    }
                    GATHER
                }
                Relayed::Idle => floor.rest(self.options.poll),
                Relayed::Outage { reason, .. } => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%reason, "the bus is away; events wait in the outbox");
                    }
                    reconnect.next_delay()
                }
            };
            // Others may go on posting while this one stops: what they commit is for them. Where the
            // bus is away, what waits goes out at the next start.
            if stopping || (away && stop.is_cancelled()) {
                return Ok(());
            }
            tokio::select! {
                waited = alive(&mut conn, self.rest(wait)) => waited?,
                () = wake.notified(), if wait > GATHER && !away => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One claim: publishes it and removes what was acknowledged.
    ///
    /// # Errors
    /// Where the database fails. What was published and not removed is published again.
    pub async fn relay_once(
        &self,
        conn: &mut PgConnection,
        now: OffsetDateTime,
    ) -> Result<Relayed, RelayError> {
        self.step(conn, &mut Floor::default(), now).await
    }

    async fn step(
        &self,
        conn: &mut PgConnection,
        floor: &mut Floor,
        now: OffsetDateTime,
    ) -> Result<Relayed, RelayError> {
        let limit = i64::from(self.options.claim_rows_max);
        let claim = outbox::claim(conn, floor.at(now), limit, now).await?;
        let Some(first) = claim.first() else {
            return Ok(Relayed::Idle);
        };
        floor.rise(first.id);
        measured::claimed(claim.len(), now - first.created_at);
        let records: Vec<Record> = claim.iter().map(record).collect();
        failpoint::reach(failpoint::RELAY_CLAIMED);
        let started = SystemTime::now();
        let results = alive(conn, self.bus.publish(&records)).await?;
        failpoint::reach(failpoint::RELAY_PUBLISHED);
        let (mut done, mut refused) = (Vec::with_capacity(claim.len()), Vec::new());
        let mut outage = None;
        for ((pending, record), result) in claim.iter().zip(&records).zip(results) {
            publish_span(pending, started, &result);
            match result {
                Ok(()) => done.push((pending.ledger_id, pending.id)),
                Err(PublishError::Held) => {}
                Err(PublishError::Outage(reason)) => {
                    outage.get_or_insert(reason);
                }
                Err(PublishError::Refused { reason }) => refused.push((pending, record, reason)),
            }
        }
        measured::published(done.len(), refused.len(), outage.is_some());
        // First what got through: whatever comes of the rest, it is not published again.
        if !done.is_empty() {
            outbox::remove(conn, &done).await?;
        }
        let mut burying = true;
        for (pending, record, reason) in refused {
            if self
                .refused(conn, pending, record, &reason, now, &mut burying)
                .await?
            {
                failpoint::reach(failpoint::RELAY_BURIED);
                outbox::remove(conn, &[(pending.ledger_id, pending.id)]).await?;
                done.push((pending.ledger_id, pending.id));
            }
        }
        Ok(match outage {
            Some(reason) => Relayed::Outage {
                published: done.len(),
                reason,
            },
            None => Relayed::Batch(done.len()),
        })
    }

    /// An event that the broker won't take: tried again by the schedule, then a dead letter.
    /// Whether the outbox is done with it.
    async fn refused(
        &self,
        conn: &mut PgConnection,
        pending: &Pending,
        record: &Record,
        reason: &str,
        now: OffsetDateTime,
        burying: &mut bool,
    ) -> Result<bool, RelayError> {
        let failures = u32::try_from(pending.attempts)
            .unwrap_or(0)
            .saturating_add(1);
        let wait = match self.options.schedule.delay_after(failures) {
            Some(wait) => wait,
            // Where one finds no place, the others of the claim need not wait for the same answer.
            None if *burying => {
                let burying_it = self.bury(pending, record, reason, failures, now);
                *burying = alive(conn, burying_it).await??;
                if *burying {
                    return Ok(true);
                }
                self.last_wait()
            }
            None => self.last_wait(),
        };
        tracing::warn!(
            event_id = %pending.event_id, topic = pending.topic, failures, reason,
            "the bus refused an event"
        );
        outbox::defer(conn, (pending.ledger_id, pending.id), now + wait, reason).await?;
        Ok(false)
    }

    /// The dead letter found no place either: the event stays, and is tried now and then.
    fn last_wait(&self) -> Duration {
        let schedule = &self.options.schedule;
        schedule.delay_after(schedule.waits()).unwrap_or_default()
    }

    async fn bury(
        &self,
        pending: &Pending,
        record: &Record,
        reason: &str,
        failures: u32,
        now: OffsetDateTime,
    ) -> Result<bool, RelayError> {
        let original = Original {
            topic: &record.topic,
            key: &record.key,
            headers: &record.headers,
            payload: &record.payload,
        };
        let correlation_id = pending.correlation_id.clone();
        let letter = DeadLetter::new(original, reason, failures, now, correlation_id)?;
        let record = Record {
            topic: topics::dead_letters_of(&record.topic),
            key: record.key.clone(),
            headers: letter.record_headers(None),
            payload: letter.to_json()?,
        };
        let buried = self.letters.publish(std::slice::from_ref(&record)).await;
        let buried = buried.first().is_some_and(Result::is_ok);
        if buried {
            measured::buried();
            tracing::error!(
                event_id = %pending.event_id, topic = pending.topic, reason,
                "an event became a dead letter"
            );
        }
        Ok(buried)
    }
}

/// Waits for something, and says meanwhile that this relay has not hung.
async fn alive<T>(
    conn: &mut PgConnection,
    something: impl Future<Output = T>,
) -> Result<T, RelayError> {
    let mut something = pin!(something);
    loop {
        tokio::select! {
            biased;
            done = something.as_mut() => return Ok(done),
            () = tokio::time::sleep(HEARTBEAT) => in_time(outbox::keep_alive(conn)).await??,
        }
    }
}

/// A server that is gone without a word must not hold the relay up.
async fn in_time<T>(step: impl Future<Output = T>) -> Result<T, RelayError> {
    tokio::time::timeout(STEP_MAX, step)
        .await
        .map_err(|_| RelayError::Silent)
}

/// The event goes out with the `traceparent` that it was written with, so that it has the same bytes
/// however often it is published; this span stands beside the consumer's. What the bus did not take
/// in an outage has none: it is tried again for as long as it takes.
fn publish_span(pending: &Pending, started: SystemTime, result: &Result<(), PublishError>) {
    let refusal = match result {
        Ok(()) => None,
        Err(PublishError::Refused { reason }) => Some(reason.as_str()),
        Err(PublishError::Held | PublishError::Outage(_)) => return,
    };
    span::finished(
        pending.traceparent.as_deref(),
        Kind::Producer,
        || format!("publish {}", pending.topic),
        started,
        || {
            [
                ("messaging.system", "kafka".into()),
                ("messaging.destination.name", pending.topic.clone().into()),
                ("messaging.message.id", pending.event_id.to_string().into()),
                ("aegis.event_type", pending.event_type.clone().into()),
            ]
        },
        refusal,
    );
}

fn record(pending: &Pending) -> Record {
    // A newer program may have left types that this one doesn't know. They go out as they are.
    let known = pending
        .event_type
        .parse()
        .unwrap_or(EventType::TransactionPosted);
    let envelope = Envelope::new(pending.event_id, known, &pending.ledger, pending.created_at)
        .with_subject(pending.subject.clone())
        .with_correlation_id(pending.correlation_id.clone())
        .with_traceparent(pending.traceparent.clone());
    let mut headers = envelope.headers();
    for (name, value) in &mut headers {
        if name == header::TYPE {
            *value = pending.event_type.clone().into_bytes();
        }
    }
    Record {
        topic: pending.topic.clone(),
        key: pending.key.clone().into_bytes(),
        headers,
        payload: pending.payload.clone().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_floor_rises_with_the_claims_and_is_left_once_a_second() {
        let start = datetime!(2026-11-23 01:02:03 UTC);
        let mut floor = Floor::default();
        assert_eq!(floor.at(start), 0);
        floor.rise(70);
        let soon = start + Duration::from_millis(999);
        assert_eq!(floor.at(soon), 69);
        assert_eq!(floor.at(start + Duration::from_secs(1)), 0);
        floor.rise(5);
        assert_eq!(
            floor.at(start + Duration::from_secs(1)),
            4,
            "a late one was found"
        );
        assert_eq!(
            floor.at(start - Duration::from_secs(3_600)),
            0,
            "the clock was set back"
        );
    }

    #[test]
    fn a_claim_that_found_nothing_behind_a_floor_is_followed_by_one_of_all() {
        let start = datetime!(2026-11-23 01:02:03 UTC);
        let day = Duration::from_secs(86_400);
        let mut floor = Floor::default();
        floor.at(start);
        assert_eq!(floor.rest(day), day);
        floor.rise(70);
        floor.at(start);
        let rest = floor.rest(day);
        assert_eq!(floor.at(start + rest), 0);
        assert_eq!(floor.rest(day), day);
    }
}
