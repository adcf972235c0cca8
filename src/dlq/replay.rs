//! Carries a plan out: publish a batch, wait for its acknowledgements, mark its letters; again.
//!
//! | crash | what becomes of it |
//! |---|---|
//! | before the publishing | nothing happened |
//! | between publishing and mark | the letters wait as before; whoever replays them publishes them a second time under the same ids, which consumers drop |
//! | behind the mark | the batch is done, the rest waits |
//!
//! One replay a topic: it holds the topics' locks over the connection that also marks, so that
//! whoever loses the locks can't mark any more. The order of a key holds: letters go out in order
//! of their numbers, and behind one that fails none of its key does.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::DlqError;
use super::lanes::Lanes;
use super::pace::Pace;
use super::plan::{Plan, Planned, Selection, read};
use super::record::{key, record};
use super::runs::{ENDED, PUBLISHED, STARTED, target};
use crate::bus::{Bus, PublishError, Record};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::dead_letters::decide::{self, Read};
use crate::postgres::dead_letters::list;
use crate::postgres::dead_letters::lock;
use crate::postgres::dead_letters::replays::{self, NewRun, RunStatus, Step};
use crate::resilience::backoff::Reconnect;

/// The records of a batch have so many bytes at most, or it is a single one.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a topic that somebody decides on for a moment is waited for.
const MOMENT: Duration = Duration::from_secs(2);
/// The failures that the record names.
const FAILURES_MAX: usize = 100;

/// What happens on the way.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// It has come so far.
    Progress(Counts),
    /// A letter could not be replayed.
    Failed {
        /// Its number.
        id: i64,
        /// Why.
        reason: &'a str,
    },
    /// The bus is away; the same batch is tried again.
    BusAway(&'a str),
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Letters that belong to it.
    pub total: i64,
    /// Letters that were replayed.
    pub replayed: i64,
    /// Letters that could not be.
    pub failed: i64,
    /// Letters that somebody else decided on after the plan was made.
    pub dropped: i64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At its end.
    Done,
    /// Somebody had asked it to stop.
    Cancelled,
    /// It was stopped.
    Stopped,
    /// The bus could not be reached.
    BusAway(String),
}

impl Ending {
    /// What the run's row says.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match self {
            Self::Done => RunStatus::Done,
            Self::Cancelled => RunStatus::Cancelled,
            Self::Stopped | Self::BusAway(_) => RunStatus::Interrupted,
        }
    }

    /// In words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Cancelled => "cancelled".to_owned(),
            Self::Stopped => "stopped".to_owned(),
            Self::BusAway(reason) => format!("the bus is away: {reason}"),
        }
    }
}

/// What a run has done.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run.
    pub run: i64,
    /// How far it has come.
    pub counts: Counts,
    /// How it ended.
    pub ending: Ending,
    /// The first letters that could not be replayed, each with the reason.
    pub failures: Vec<(i64, String)>,
}

/// A replay that has its topics and has not published anything yet. Dropped, it gives the topics
/// back, and whoever looks at it next marks it as interrupted.
#[derive(Debug)]
pub struct Replay {
    conn: PgConnection,
    run: i64,
    plan: Plan,
    actor: Actor,
    pace: Pace,
    outage_max: Duration,
}

/// How a replay is to run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// At most so many letters a second.
    pub rate: Option<NonZeroU32>,
    /// The key of the request that asked for it.
    pub idempotency_key: Option<&'a str>,
    /// How long the bus may be away before the replay gives up; 30 s unless said.
    pub outage_max: Duration,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            rate: None,
            idempotency_key: None,
            outage_max: Duration::from_secs(30),
        }
    }
}

impl Options<'_> {
    /// All that was asked for, as a run keeps it.
    #[must_use]
    pub fn asked(&self, selection: &Selection) -> Value {
        let mut asked = selection.to_json();
        asked["rate"] = json!(self.rate);
        asked["idempotency_key"] = json!(self.idempotency_key);
        asked
    }
}

impl Replay {
    /// Takes the plan's topics over a connection of the replay's own, and writes down that it
    /// begins.
    ///
    /// # Errors
    /// [`DlqError::Busy`] where another replay has a topic, [`DlqError::Database`].
    pub async fn begin(
        mut conn: PgConnection,
        plan: Plan,
        options: Options<'_>,
        actor: Actor,
    ) -> Result<Self, DlqError> {
        let topics = plan.topics();
        for topic in &topics {
            take(&mut conn, topic).await?;
        }
        let run = written(&mut conn, &plan, &topics, options, &actor).await?;
        Ok(Self {
            conn,
            run,
            plan,
            actor,
            pace: Pace::new(options.rate),
            outage_max: options.outage_max,
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.run
    }

    /// Publishes and marks letter by letter until the end, or until it is stopped at a safe point.
    ///
    /// # Errors
    /// [`DlqError::Lost`] where the database fails.
    pub async fn run(
        self,
        bus: &Bus,
        stop: &CancellationToken,
        notice: &mut (dyn FnMut(Notice<'_>) + Send),
    ) -> Result<Report, DlqError> {
        let mut under_way = UnderWay {
            conn: self.conn,
            run: self.run,
            actor: self.actor,
            left: self.plan.letters.into(),
            lanes: Lanes::default(),
            counts: Counts::default(),
            failures: Vec::new(),
            outage_max: self.outage_max,
            notice,
        };
        under_way.counts.total = count(under_way.left.len());
        let ended = under_way.go_on(bus, self.pace, stop).await;
        ended.map_err(|source| DlqError::Lost {
            run: under_way.run,
            replayed: under_way.counts.replayed,
            source,
        })
    }
}

async fn take(conn: &mut PgConnection, topic: &str) -> Result<(), DlqError> {
    let began = Instant::now();
    while !lock::try_take(conn, topic).await? {
        let by = replays::running_on(conn, topic).await?;
        // Without a run it is a discard, or one that begins or ends just now.
        if by.is_some() || began.elapsed() > MOMENT {
            let (topic, by) = (topic.to_owned(), by.map(Box::new));
            return Err(DlqError::Busy { topic, by });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn written(
    conn: &mut PgConnection,
    plan: &Plan,
    topics: &[String],
    options: Options<'_>,
    actor: &Actor,
) -> sqlx::Result<i64> {
    let now = OffsetDateTime::now_utc();
    let run = NewRun {
        topics,
        last_letter_id: plan.last_letter_id(),
        selection: &options.asked(&plan.selection),
        total: count(plan.letters.len()),
    };
    let mut transaction = conn.begin().await?;
    let id = replays::begin(&mut transaction, &run, actor, now).await?;
    let deed = Deed {
        at: now,
        actor,
        action: STARTED,
        target: &target(id),
        reason: None,
        detail: Some(&plan.to_json()),
    };
    audit::record(&mut transaction, deed).await?;
    transaction.commit().await?;
    Ok(id)
}

/// A replay between its beginning and its end.
struct UnderWay<'n> {
    conn: PgConnection,
    run: i64,
    actor: Actor,
    left: VecDeque<Planned>,
    lanes: Lanes,
    counts: Counts,
    failures: Vec<(i64, String)>,
    outage_max: Duration,
    notice: &'n mut (dyn FnMut(Notice<'_>) + Send),
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
    async fn go_on(
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
            let outcome = self.publish(bus, most).await?;
            // Published and not marked: here a crash has messages published twice. (replay.after_publish)
            let outage = outcome.outage.clone();
            let came_further = !outcome.replayed.is_empty();
            let cancelled = self.mark(outcome).await?;
            (self.notice)(Notice::Progress(self.counts));
            if cancelled && !self.left.is_empty() {
                break Ending::Cancelled;
            }
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

    /// Writes down what came of a batch: whether somebody asked the run to stop.
    async fn mark(&mut self, outcome: Outcome) -> sqlx::Result<bool> {
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
        let cancelled = replays::advance(&mut transaction, self.run, step, now).await?;
        transaction.commit().await?;
        self.counts.replayed += step.replayed;
        self.counts.failed += step.failed;
        self.counts.dropped += step.dropped;
        self.counts.total -= step.dropped;
        for planned in outcome.again.into_iter().rev() {
            self.left.push_front(planned);
        }
        for (id, reason) in outcome.failed {
            let reason_told = &reason;
            (self.notice)(Notice::Failed {
                id,
                reason: reason_told,
            });
            if self.failures.len() < FAILURES_MAX {
                self.failures.push((id, reason));
            }
        }
        Ok(cancelled)
    }

    async fn end(&mut self, ending: &Ending) -> sqlx::Result<()> {
        let now = OffsetDateTime::now_utc();
        let failures = self.failures.iter();
        let failures = failures.map(|(id, reason)| json!({"id": id, "reason": reason}));
        let detail = json!({
            "ending": ending.told(),
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

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
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
