//! A replay on its way: batch after batch, each published, then marked.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::count;
use super::lanes::Lanes;
use super::pace::Pace;
use super::plan::{Planned, read};
use super::record::{key, record};
use super::replay::{Counts, Ending, Notice, Report};
use super::runs::{ENDED, PUBLISHED, target};
use crate::bus::{Bus, PublishError, Record};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::dead_letters::decide::{self, Read};
use crate::postgres::dead_letters::replays::{self, Step};
use crate::postgres::dead_letters::{list, lock};
use crate::resilience::backoff::Reconnect;
use crate::resilience::failpoint;

/// The records of a batch have so many bytes at most, or it is a single one.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The failures that the record names.
const FAILURES_MAX: usize = 100;

/// A replay between its beginning and its end.
pub(super) struct UnderWay<'n> {
    pub(super) conn: PgConnection,
    pub(super) run: i64,
    pub(super) actor: Actor,
    pub(super) left: VecDeque<Planned>,
    pub(super) lanes: Lanes,
    pub(super) counts: Counts,
    pub(super) failures: Vec<(i64, String)>,
    pub(super) outage_max: Duration,
    pub(super) notice: &'n mut (dyn FnMut(Notice<'_>) + Send),
}

/// What came of a batch.
#[derive(Default)]
struct Outcome {
    /// Published and acknowledged.
    replayed: Vec<Read>,
    /// Could not be published, and why.
    failed: Vec<(i64, String)>,
    /// Somebody else decided on them.
    dropped: i64,
    /// To be tried again, in order.
    again: Vec<Planned>,
    /// The bus was away, in its words.
    outage: Option<String>,
}

impl UnderWay<'_> {
    /// Publishes and marks until the end, or until it is stopped at a safe point.
    pub(super) async fn go_on(
        &mut self,
        bus: &Bus,
        mut pace: Pace,
        stop: &CancellationToken,
    ) -> sqlx::Result<Report> {
        let mut away = Away::default();
        let ending = loop {
            if self.left.is_empty() {
                break Ending::Done;
            }
            let most = tokio::select! {
                biased;
                () = stop.cancelled() => break Ending::Stopped,
                most = pace.turn() => most,
            };
            if replays::is_cancelled(&mut self.conn, self.run).await? {
                break Ending::Cancelled;
            }
            let outcome = self.publish(bus, most).await?;
            // Published and not marked: here a crash has messages published twice.
            failpoint::reach(failpoint::REPLAY_PUBLISHED);
            let outage = outcome.outage.clone();
            let came_further = !outcome.replayed.is_empty();
            self.mark(outcome).await?;
            (self.notice)(Notice::Progress(self.counts));
            let Some(reason) = outage else {
                away = Away::default();
                continue;
            };
            if came_further {
                away = Away::default();
            }
            let Some(wait) = away.wait(self.outage_max) else {
                break Ending::BusAway(reason);
            };
            (self.notice)(Notice::BusAway(&reason));
            tokio::select! {
                () = stop.cancelled() => break Ending::Stopped,
                () = tokio::time::sleep(wait) => {}
            }
        };
        self.end(&ending).await?;
        Ok(Report {
            run: self.run,
            counts: self.counts,
            ending,
            failures: std::mem::take(&mut self.failures),
        })
    }

    /// Publishes the next letters.
    async fn publish(&mut self, bus: &Bus, most: usize) -> sqlx::Result<Outcome> {
        let mut outcome = Outcome::default();
        let batch = self.next_batch(most);
        let ids: Vec<i64> = batch.iter().map(|planned| planned.read.id).collect();
        let found = list::by_ids(&mut self.conn, &ids, None).await?;
        let (mut records, mut sent) = (Vec::new(), Vec::new());
        for planned in batch {
            let letter = found.iter().find(|letter| letter.id == planned.read.id);
            let Some(letter) = letter.filter(|letter| read(letter) == planned.read) else {
                outcome.dropped += 1;
                continue;
            };
            match record(letter) {
                Err(error) => {
                    self.close_lane_of(letter);
                    outcome.failed.push((letter.id, error.to_string()));
                }
                Ok(record) => match self.lanes.closed_by(&record.topic, &record.key) {
                    Some(first) => outcome.failed.push((letter.id, held(first))),
                    None => {
                        records.push(record);
                        sent.push(planned);
                    }
                },
            }
        }
        let results = bus.publish(&records).await;
        self.sort_out(&records, sent, results, &mut outcome);
        Ok(outcome)
    }

    /// Takes the next letters out, as many as may go together.
    fn next_batch(&mut self, most: usize) -> Vec<Planned> {
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        while let Some(next) = self.left.front().copied() {
            bytes = bytes.saturating_add(next.bytes);
            if batch.len() >= most || (bytes > BATCH_BYTES_MAX && !batch.is_empty()) {
                break;
            }
            batch.push(next);
            self.left.pop_front();
        }
        batch
    }

    fn close_lane_of(&mut self, letter: &list::Letter) {
        if let Some(key) = key(letter) {
            self.lanes.close(&letter.original_topic, key, letter.id);
        }
    }

    fn sort_out(
        &mut self,
        records: &[Record],
        sent: Vec<Planned>,
        results: Vec<Result<(), PublishError>>,
        outcome: &mut Outcome,
    ) {
        for ((record, planned), result) in records.iter().zip(sent).zip(results) {
            let id = planned.read.id;
            match result {
                Ok(()) => outcome.replayed.push(planned.read),
                Err(PublishError::Refused { reason }) => {
                    self.lanes.close(&record.topic, record.key.clone(), id);
                    let reason = format!("{} refused it: {reason}", record.topic);
                    outcome.failed.push((id, reason));
                }
                Err(PublishError::Held) => {
                    match self.lanes.closed_by(&record.topic, &record.key) {
                        Some(first) => outcome.failed.push((id, held(first))),
                        // The bus had its hands full with others that it refused.
                        None => outcome.again.push(planned),
                    }
                }
                Err(PublishError::Outage(reason)) => {
                    outcome.outage.get_or_insert(reason);
                    outcome.again.push(planned);
                }
            }
        }
    }

    /// Writes down what came of a batch.
    async fn mark(&mut self, outcome: Outcome) -> sqlx::Result<()> {
        let now = OffsetDateTime::now_utc();
        let mut transaction = self.conn.begin().await?;
        let by = &self.actor.name;
        let marked = match outcome.replayed.as_slice() {
            [] => Vec::new(),
            replayed => decide::mark_replayed(&mut transaction, replayed, by, now).await?,
        };
        // Nobody but another hand on the database can decide while the topic is taken.
        let overtaken = count(outcome.replayed.len().saturating_sub(marked.len()));
        if !marked.is_empty() {
            let deed = Deed {
                at: now,
                actor: &self.actor,
                action: PUBLISHED,
                target: &target(self.run),
                reason: None,
                detail: Some(&json!({ "letters": marked })),
            };
            audit::record(&mut transaction, deed).await?;
        }
        let step = Step {
            replayed: count(marked.len()),
            failed: count(outcome.failed.len()),
            dropped: outcome.dropped.saturating_add(overtaken),
        };
        replays::advance(&mut transaction, self.run, step, now).await?;
        transaction.commit().await?;
        self.counts.replayed += step.replayed;
        self.counts.failed += step.failed;
        self.counts.dropped += step.dropped;
        self.counts.total -= step.dropped;
        for planned in outcome.again.into_iter().rev() {
            self.left.push_front(planned);
        }
        for (id, reason) in outcome.failed {
            let told: &str = &reason;
            (self.notice)(Notice::Failed { id, reason: told });
            if self.failures.len() < FAILURES_MAX {
                self.failures.push((id, reason));
            }
        }
        Ok(())
    }

    async fn end(&mut self, ending: &Ending) -> sqlx::Result<()> {
        let now = OffsetDateTime::now_utc();
        let failures = self.failures.iter();
        let failures = failures.map(|(id, reason)| json!({"id": id, "reason": reason}));
        let detail = json!({
            "ending": ending.told(),
            "bus_away": matches!(ending, Ending::BusAway(_)),
            "total": self.counts.total,
            "replayed": self.counts.replayed,
            "failed": self.counts.failed,
            "decided_meanwhile": self.counts.dropped,
            "left": self.left.len(),
            "failures": failures.collect::<Vec<_>>(),
        });
        let mut transaction = self.conn.begin().await?;
        replays::finish(&mut transaction, self.run, ending.status(), now).await?;
        let deed = Deed {
            at: now,
            actor: &self.actor,
            action: ENDED,
            target: &target(self.run),
            reason: None,
            detail: Some(&detail),
        };
        audit::record(&mut transaction, deed).await?;
        transaction.commit().await?;
        lock::give_back(&mut self.conn).await
    }
}

fn held(first: i64) -> String {
    format!("it waits behind letter {first} of the same key, which failed")
}

/// Since when the bus is away.
#[derive(Default)]
struct Away {
    since: Option<Instant>,
    waits: Reconnect,
}

impl Away {
    /// How long to wait before the next attempt; `None` where it was away for too long.
    fn wait(&mut self, most: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        (since.elapsed() < most).then(|| self.waits.next_delay())
    }
}
