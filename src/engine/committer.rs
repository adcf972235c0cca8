//! Commits the commands of many callers together.
//!
//! One task owns the engine. While it commits a batch, callers queue the next one; no timer adds
//! latency to a lone caller. The queue is bounded in commands: a caller waits for room a while,
//! then is told that there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Engine, PostError, Request, measured};
use crate::ledger::{Ledger, Outcome};
use crate::telemetry::span::{Kind, Span};

/// Bounds of a [`Committer`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most commands that one database transaction takes.
    pub batch_commands_max: usize,
    /// The most commands that wait or are at work.
    pub queue_commands_max: usize,
    /// How long a caller waits for room.
    pub queue_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_commands_max: 8_192,
            queue_commands_max: 16_384,
            queue_wait: Duration::from_secs(2),
        }
    }
}

/// A handle on the task that commits. Clones share it.
#[derive(Clone, Debug)]
pub struct Committer {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    limits: Limits,
    batches: Arc<AtomicU64>,
}

/// Looks at the task that commits without keeping it alive.
#[derive(Clone, Debug)]
pub struct CommitterPulse {
    room: Arc<Semaphore>,
    queue_commands_max: usize,
    batches: Arc<AtomicU64>,
}

impl CommitterPulse {
    /// How many commands wait or are at work.
    #[must_use]
    pub fn queued_commands(&self) -> usize {
        let free = self.room.available_permits();
        self.queue_commands_max.saturating_sub(free)
    }

    /// Counts the batches that were done. One that stands still while commands wait is stuck.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Puts the depth of the queue into the metrics.
    pub fn measure(&self) {
        measured::queue(self.queued_commands(), self.queue_commands_max);
    }
}

#[derive(Debug)]
struct Job {
    ledger: Ledger,
    request: Request,
    /// The caller's wait, from the queue to the answer.
    span: Span,
    asked_at: Instant,
    reply: oneshot::Sender<Result<Vec<Outcome>, PostError>>,
    /// Holds the job's room in the queue until it is answered.
    _room: OwnedSemaphorePermit,
}

impl Committer {
    /// Starts the task. It ends once every handle is dropped and all that was queued is answered.
    #[must_use]
    pub fn start(engine: Engine, limits: Limits) -> (Self, JoinHandle<()>) {
        // Unbounded in jobs, since the semaphore bounds the commands in them.
        let (jobs, queue) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(limits.queue_commands_max));
        let batches = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(run(engine, queue, limits, Arc::clone(&batches)));
        let committer = Self {
            jobs,
            room,
            limits,
            batches,
        };
        (committer, task)
    }

    /// Queues a request and waits for its outcomes, one a command, in order.
    ///
    /// A caller that stops waiting doesn't take the request back.
    ///
    /// # Errors
    /// [`PostError::Overloaded`] where no room came free in time, and what [`Engine::post`] says.
    pub async fn post(&self, ledger: &Ledger, request: Request) -> Result<Vec<Outcome>, PostError> {
        let asked_at = Instant::now();
        let answer = self.queue(ledger, request, asked_at).await;
        measured::answered(asked_at, answer.as_ref().err());
        answer
    }

    async fn queue(
        &self,
        ledger: &Ledger,
        request: Request,
        asked_at: Instant,
    ) -> Result<Vec<Outcome>, PostError> {
        let span = Span::child(Kind::Internal, "post");
        let weight = request.weight().clamp(1, self.limits.queue_commands_max);
        let weight = u32::try_from(weight).map_err(|_| PostError::Overloaded)?;
        let room = Arc::clone(&self.room).acquire_many_owned(weight);
        let room = tokio::time::timeout(self.limits.queue_wait, room)
            .await
            .map_err(|_| PostError::Overloaded)?
            .map_err(|_| PostError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            ledger: ledger.clone(),
            request,
            span,
            asked_at,
            reply,
            _room: room,
        };
        self.jobs.send(job).map_err(|_| PostError::Stopping)?;
        answer.await.map_err(|_| PostError::Stopping)?
    }

    /// How many commands wait or are at work.
    #[must_use]
    pub fn queued_commands(&self) -> usize {
        self.pulse().queued_commands()
    }

    /// How the task is doing, to be looked at from outside.
    #[must_use]
    pub fn pulse(&self) -> CommitterPulse {
        CommitterPulse {
            room: Arc::clone(&self.room),
            queue_commands_max: self.limits.queue_commands_max,
            batches: Arc::clone(&self.batches),
        }
    }
}

async fn run(
    engine: Engine,
    mut queue: mpsc::UnboundedReceiver<Job>,
    limits: Limits,
    batches: Arc<AtomicU64>,
) {
    let mut held_over: Option<Job> = None;
    let mut answers = Vec::new();
    loop {
        let first = match held_over.take().or_else(|| queue.try_recv().ok()) {
            Some(job) => job,
            None => {
                answers.drain(..).for_each(Answer::give);
                let Some(job) = queue.recv().await else {
                    return;
                };
                // Callers who come at the same time get to queue theirs before this one goes.
                tokio::task::yield_now().await;
                job
            }
        };
        let mut commands = first.request.weight();
        let mut gathered = vec![first];
        while let Ok(job) = queue.try_recv() {
            commands = commands.saturating_add(job.request.weight());
            if commands > limits.batch_commands_max {
                held_over = Some(job);
                break;
            }
            gathered.push(job);
        }
        // A batch is of one ledger.
        let mut ledgers: Vec<(Ledger, Vec<Job>)> = Vec::new();
        for job in gathered {
            measured::taken_up(job.asked_at);
            match ledgers
                .iter_mut()
                .find(|(ledger, _)| ledger.id == job.ledger.id)
            {
                Some((_, jobs)) => jobs.push(job),
                None => ledgers.push((job.ledger.clone(), vec![job])),
            }
        }
        for (ledger, batch) in ledgers {
            // First this batch is sent to the database, then the callers of the last one are woken:
            // what they do with their answers takes a while, in which the database has work.
            let due = std::mem::take(&mut answers);
            let wake = async { due.into_iter().for_each(Answer::give) };
            (answers, ()) = tokio::join!(biased; commit(&engine, &ledger, batch), wake);
            batches.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a caller waits for. Its room in the queue comes free once it is given.
struct Answer {
    reply: Reply,
    outcomes: Result<Vec<Outcome>, PostError>,
}

impl Answer {
    fn give(self) {
        let (reply, _span, _room) = self.reply;
        // A caller that stopped waiting finds the outcome under its key.
        drop(reply.send(self.outcomes));
    }
}

/// How often a batch is split before it is given up.
const SPLITS_MAX: usize = 4;

async fn commit(engine: &Engine, ledger: &Ledger, batch: Vec<Job>) -> Vec<Answer> {
    let span = batch_span(&batch);
    span.within(commit_all(engine, ledger, batch)).await
}

/// The work on a batch belongs to the first of its traces that is recorded; the others point to it.
fn batch_span(batch: &[Job]) -> Span {
    let mut recorded = batch.iter().filter(|job| job.span.is_recorded());
    let Some(first) = recorded.next() else {
        return Span::default();
    };
    let span = first.span.step(Kind::Internal, "batch");
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    span.set("aegis.batch.requests", count(batch.len()));
    let commands = batch.iter().map(|job| job.request.weight()).sum();
    span.set("aegis.batch.commands", count(commands));
    for job in recorded {
        job.span.link(&span);
    }
    for job in batch.iter().filter(|job| job.span.is_recorded()) {
        let queued = job.asked_at.elapsed().as_micros();
        let queued = i64::try_from(queued).unwrap_or(i64::MAX);
        job.span.set("aegis.queued_us", queued);
    }
    span
}

async fn commit_all(engine: &Engine, ledger: &Ledger, batch: Vec<Job>) -> Vec<Answer> {
    let (mut requests, mut replies): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|job| (job.request, (job.reply, job.span, job._room)))
        .unzip();
    let mut answers = Vec::with_capacity(requests.len());
    let mut splits = 0;
    while !requests.is_empty() {
        let error = match engine.post(ledger, &requests).await {
            Ok(all) => {
                let all = all.into_iter().map(Ok);
                answers.extend(replies.into_iter().zip(all).map(answer));
                return answers;
            }
            Err(error) => error,
        };
        let contended = matches!(error, PostError::Contended { .. });
        let split = contended && requests.len() > 1 && splits < SPLITS_MAX;
        let locked_out = match split {
            true => engine.locked_out(ledger, &requests).await.ok(),
            false => None,
        };
        let Some(locked_out) = locked_out else {
            answers.extend(give_up(engine, ledger, requests, replies, error).await);
            return answers;
        };
        splits += 1;
        // Who asks for a wallet that somebody holds is told so; the others go on.
        let jobs = requests.into_iter().zip(replies).zip(locked_out);
        let (mut free, mut waiting) = (Vec::new(), Vec::new());
        for ((request, reply), locked_out) in jobs {
            if locked_out {
                answers.push(answer((reply, Err(error.clone()))));
            } else {
                free.push(request);
                waiting.push(reply);
            }
        }
        (requests, replies) = (free, waiting);
    }
    answers
}

fn answer((reply, outcomes): (Reply, Result<Vec<Outcome>, PostError>)) -> Answer {
    Answer { reply, outcomes }
}

type Reply = (
    oneshot::Sender<Result<Vec<Outcome>, PostError>>,
    Span,
    OwnedSemaphorePermit,
);

async fn give_up(
    engine: &Engine,
    ledger: &Ledger,
    requests: Vec<Request>,
    replies: Vec<Reply>,
    error: PostError,
) -> Vec<Answer> {
    if !matches!(error, PostError::Database(_)) || requests.len() == 1 {
        let error = std::iter::repeat_with(|| Err(error.clone()));
        return replies.into_iter().zip(error).map(answer).collect();
    }
    // Nothing took effect, and one request may be to blame: each for itself.
    let mut answers = Vec::with_capacity(requests.len());
    for (reply, request) in replies.into_iter().zip(requests) {
        let alone = engine.post(ledger, &[request]).await;
        let outcomes = alone.map(|outcomes| outcomes.into_iter().flatten().collect());
        answers.push(answer((reply, outcomes)));
    }
    answers
}
