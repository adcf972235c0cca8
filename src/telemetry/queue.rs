//! Spans that ended and wait to be sent. The queue is bounded; what finds no room is dropped and
//! counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::Notify;

/// The most spans in one request.
const BATCH_SPANS_MAX: usize = 512;

/// Spans that wait.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Mutex<VecDeque<SpanData>>,
    spans_max: usize,
    enough: Notify,
}

impl Queue {
    pub(super) fn new(spans_max: usize) -> Self {
        Self {
            spans: Mutex::default(),
            spans_max,
            enough: Notify::new(),
        }
    }

    fn put(&self, span: SpanData) {
        let waiting = {
            let mut spans = self.lock();
            if spans.len() >= self.spans_max {
                drop(spans);
                return dropped(1, "queue_full");
            }
            spans.push_back(span);
            spans.len()
        };
        // Woken once a batch: waking costs more than the span.
        if waiting == BATCH_SPANS_MAX {
            self.enough.notify_one();
        }
    }

    /// Waits until there are enough for a request.
    pub(super) async fn enough(&self) {
        self.enough.notified().await;
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// As many as go into one request, the oldest first.
    pub(super) fn take(&self) -> Vec<SpanData> {
        let mut spans = self.lock();
        let count = spans.len().min(BATCH_SPANS_MAX);
        spans.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SpanData>> {
        // Nothing panics in between.
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts spans that nobody will see.
pub(super) fn dropped(spans: usize, reason: &'static str) {
    let spans = u64::try_from(spans).unwrap_or(u64::MAX);
    metrics::counter!("aegis_traces_dropped_total", "reason" => reason).increment(spans);
}

/// What the SDK hands ended spans to.
#[derive(Debug)]
pub(super) struct Queued(pub(super) Arc<Queue>);

impl SpanProcessor for Queued {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
