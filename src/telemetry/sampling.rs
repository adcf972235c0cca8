//! Which of the traces that begin here are recorded.

use std::cell::Cell;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::budget::Budget;

/// First a share of all, by the trace's id, so that whoever draws by the same share draws the same
/// traces; then, of these, so many a second.
#[derive(Debug)]
pub(super) struct Sampling {
    per_mille: u32,
    budget: Budget,
}

impl Sampling {
    pub(super) fn new(per_mille: u32, traces_per_second_max: u32) -> Self {
        Self {
            per_mille,
            budget: Budget::new(traces_per_second_max),
        }
    }

    /// Whether this trace, which begins now, is recorded.
    pub(super) fn draw(&self, trace: TraceId, now: SystemTime) -> bool {
        self.has_share(trace) && self.budget.take(now)
    }

    /// By the 63 bits that OpenTelemetry's `TraceIdRatioBased` looks at, in its way.
    fn has_share(&self, trace: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
        let drawn = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        u128::from(drawn) * 1_000 < u128::from(self.per_mille) << 63
    }
}

thread_local! {
    static NEXT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Ids by chance, but that of a trace that was drawn before its first span is made.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// The id of a trace that may begin.
pub(super) fn new_trace() -> TraceId {
    RandomIdGenerator::default().new_trace_id()
}

/// Does something that begins a trace: one with this id.
pub(super) fn begin<T>(trace: TraceId, beginning: impl FnOnce() -> T) -> T {
    NEXT.set(Some(trace));
    let begun = beginning();
    NEXT.set(None);
    begun
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Spread evenly, and in no order.
    fn traces(many: u64) -> impl Iterator<Item = TraceId> {
        let spread = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (1..=many).map(move |n| TraceId::from((u128::from(n) << 64) | u128::from(spread(n))))
    }

    #[test]
    fn the_share_is_drawn_before_the_budget_is_touched() {
        let sampling = Sampling::new(10, 20);
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let recorded = traces(7_423).filter(|trace| sampling.draw(*trace, now));
        assert_eq!(
            recorded.count(),
            20,
            "of the 74 of a second that have a share"
        );
    }

    #[test]
    fn a_share_is_as_large_as_it_is_called() {
        let now = UNIX_EPOCH;
        for per_mille in [0, 1, 10, 500, 999, 1_000] {
            let sampling = Sampling::new(per_mille, u32::MAX);
            let recorded = traces(100_000).filter(|trace| sampling.draw(*trace, now));
            let wanted = 100 * u64::from(per_mille);
            let got = u64::try_from(recorded.count()).unwrap_or_default();
            assert!(got.abs_diff(wanted) <= 5, "{per_mille}: {got}");
        }
    }

    #[test]
    fn the_same_traces_are_drawn_wherever_the_share_is_the_same_or_larger() {
        let (small, large) = (Sampling::new(10, 1), Sampling::new(200, 1));
        let drawn: Vec<_> = traces(10_000)
            .filter(|trace| small.has_share(*trace))
            .collect();
        assert!(!drawn.is_empty());
        assert!(drawn.into_iter().all(|trace| large.has_share(trace)));
    }

    #[test]
    fn a_trace_that_was_drawn_begins_with_its_id_and_the_next_one_with_another() {
        let (ids, trace) = (Ids::default(), new_trace());
        assert_eq!(begin(trace, || ids.new_trace_id()), trace);
        begin(trace, || {});
        assert_ne!(ids.new_trace_id(), trace);
    }
}
