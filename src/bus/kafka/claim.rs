//! A claim while it is published: its results, and the series of its records
//! that one producer was given.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout_at};

use super::producer::{Acknowledgement, Fault, Producer, RETIREMENT_MAX};
use crate::bus::{PublishError, Record, close_gaps};

/// How long to wait before asking a full queue again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

/// The results of one call, filled in as they become known.
pub(super) struct Claim<'a> {
    records: &'a [Record],
    results: Vec<Option<Result<(), PublishError>>>,
    /// The first refused record of a topic and key.
    refused: HashMap<(&'a str, &'a [u8]), usize>,
}

impl<'a> Claim<'a> {
    pub(super) fn new(records: &'a [Record]) -> Self {
        Self {
            records,
            results: vec![None; records.len()],
            refused: HashMap::new(),
        }
    }

    pub(super) fn settle(&mut self, at: usize, result: Result<(), PublishError>) {
        let record = &self.records[at];
        if matches!(result, Err(PublishError::Refused { .. })) && !record.key.is_empty() {
            let first = self.refused.entry((&record.topic, &record.key));
            first
                .and_modify(|first| *first = at.min(*first))
                .or_insert(at);
        }
        self.results[at] = Some(result);
    }

    pub(super) fn outage(&mut self, rest: &[usize], reason: &str) {
        for &at in rest {
            self.settle(at, Err(PublishError::Outage(reason.to_owned())));
        }
    }

    /// Whether a record stands behind a refused one of its key.
    pub(super) fn is_held(&self, at: usize) -> bool {
        let record = &self.records[at];
        // Nearly always nothing was refused, and nothing needs to be hashed.
        !self.refused.is_empty()
            && self
                .refused
                .get(&(record.topic.as_str(), record.key.as_slice()))
                .is_some_and(|first| at > *first)
    }

    /// Those of a part that have no result yet and are not held.
    pub(super) fn unsettled(&self, part: &[usize]) -> Vec<usize> {
        let open = |at: &usize| self.results[*at].is_none() && !self.is_held(*at);
        part.iter().copied().filter(open).collect()
    }

    /// What has no result was never sent: it is held.
    pub(super) fn into_results(self) -> Vec<Result<(), PublishError>> {
        let results = self.results.into_iter();
        let mut results: Vec<_> = results
            .map(|result| result.unwrap_or(Err(PublishError::Held)))
            .collect();
        close_gaps(self.records, &mut results);
        results
    }
}

/// The records that one call has given to one producer and not yet seen
/// acknowledged.
pub(super) struct Series<'p> {
    producer: &'p Producer,
    delivery_timeout: Duration,
    in_flight: VecDeque<(usize, Acknowledgement)>,
    /// Why it was cut, and when it has been waited for long enough.
    fault: Option<Fault>,
    cut_by: Option<Instant>,
    acknowledged: bool,
    finished: bool,
}

impl<'p> Series<'p> {
    pub(super) fn new(producer: &'p Producer, delivery_timeout: Duration) -> Self {
        Self {
            producer,
            delivery_timeout,
            in_flight: VecDeque::new(),
            fault: None,
            cut_by: None,
            acknowledged: false,
            finished: false,
        }
    }

    /// Puts a record into the producer's queue, waiting while that is full.
    /// Breaks once the series is cut.
    pub(super) async fn hand_over(&mut self, claim: &mut Claim<'_>, at: usize) -> ControlFlow<()> {
        let mut waited = Duration::ZERO;
        loop {
            match self.producer.enqueue(&claim.records[at]) {
                Ok(Some(acknowledgement)) => {
                    self.in_flight.push_back((at, acknowledgement));
                    return ControlFlow::Continue(());
                }
                Ok(None) => {}
                Err(Fault::Refused(reason)) => {
                    claim.settle(at, Err(PublishError::refused(reason)));
                    return ControlFlow::Continue(());
                }
                Err(fault) => {
                    self.cut(fault);
                    return ControlFlow::Break(());
                }
            }
            // The queue is full. An acknowledgement of ours makes room; if the
            // queue is full of others' records, so does time.
            if !self.in_flight.is_empty() {
                self.settle_next(claim).await;
            } else if waited < self.delivery_timeout {
                sleep(QUEUE_FULL_WAIT).await;
                waited += QUEUE_FULL_WAIT;
            } else {
                self.cut(Fault::Outage("the local queue stays full".into()));
            }
            if self.fault.is_some() {
                return ControlFlow::Break(());
            }
        }
    }

    /// Waits for the oldest record's acknowledgement: while the producer lives,
    /// `delivery_timeout` at most; after that for as long as a retired producer
    /// has to account for what it had.
    async fn settle_next(&mut self, claim: &mut Claim<'_>) {
        let Some((at, mut acknowledgement)) = self.in_flight.pop_front() else {
            return;
        };
        let patience = self.delivery_timeout;
        let fate = loop {
            if let Some(by) = self.cut_by {
                let fate = timeout_at(by, &mut acknowledgement).await;
                break fate.unwrap_or_else(|_| Err(Fault::unknown()));
            }
            // Most are there already: one request acknowledges thousands.
            if let Some(fate) = (&mut acknowledgement).now_or_never() {
                break fate;
            }
            tokio::select! {
                biased;
                fate = &mut acknowledgement => break fate,
                () = self.producer.ended() => self.cut(Fault::unknown()),
                () = sleep(patience) => {
                    let seconds = patience.as_secs_f32();
                    let reason = format!("no acknowledgement within {seconds} s");
                    self.cut(Fault::Outage(reason));
                }
            }
        };
        match fate {
            Ok(()) => {
                self.acknowledged = true;
                claim.settle(at, Ok(()));
            }
            Err(Fault::Refused(reason)) => claim.settle(at, Err(PublishError::refused(reason))),
            Err(fault) => self.cut(fault),
        }
    }

    /// Sees every record of the series to its end. After a cut the producer is
    /// retired and answers for all of them soon.
    pub(super) async fn finish(&mut self, claim: &mut Claim<'_>) {
        while !self.in_flight.is_empty() {
            self.settle_next(claim).await;
        }
        self.finished = true;
    }

    /// No record after this one may reach the broker. A refused batch weighs more
    /// than an outage, which is what its consequences look like.
    fn cut(&mut self, fault: Fault) {
        self.producer.retire();
        self.cut_by
            .get_or_insert_with(|| Instant::now() + RETIREMENT_MAX);
        match (&self.fault, &fault) {
            (None, _) | (Some(Fault::Outage(_)), Fault::BatchRefused(_)) => {
                self.fault = Some(fault);
            }
            _ => {}
        }
    }

    /// Whether a broker has taken any record of it.
    pub(super) fn acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Why it was cut, if it was.
    pub(super) fn into_fault(mut self) -> Option<Fault> {
        self.fault.take()
    }
}

impl Drop for Series<'_> {
    fn drop(&mut self) {
        // Dropped in the middle: what is queued must not be written behind the
        // back of whoever publishes it again.
        if !self.finished {
            self.producer.retire();
        }
    }
}
