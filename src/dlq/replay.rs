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

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::count;
use super::error::DlqError;
use super::lanes::Lanes;
use super::pace::Pace;
use super::plan::Plan;
use super::runs::{STARTED, target};
use super::selection::Selection;
use super::under_way::UnderWay;
use crate::bus::Bus;
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::dead_letters::lock;
use crate::postgres::dead_letters::replays::{self, NewRun, RunStatus};

/// How long a topic that somebody decides on for a moment is waited for.
const MOMENT: Duration = Duration::from_secs(2);

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
            return Err(DlqError::busy(topic, by));
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
