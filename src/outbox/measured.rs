//! What the relay tells in metrics.

use metrics::{counter, gauge, histogram};
use time::Duration;

/// That this relay has the outbox, until it is dropped.
pub(super) struct Leading(());

impl Leading {
    pub(super) fn begin() -> Self {
        gauge!("aegis_relay_leading").set(1.0);
        Self(())
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        stands_by();
    }
}

/// Somebody else has the outbox, or nobody.
pub(super) fn stands_by() {
    gauge!("aegis_relay_leading").set(0.0);
}

/// A claim of so many events, the oldest of which had waited so long.
pub(super) fn claimed(events: usize, lag: Duration) {
    histogram!("aegis_relay_batch_events").record(events as f64);
    histogram!("aegis_relay_lag_seconds").record(lag.as_seconds_f64().max(0.0));
}

/// What the bus said to a claim.
pub(super) fn published(acknowledged: usize, refused: usize, away: bool) {
    let count = |events: usize| u64::try_from(events).unwrap_or(u64::MAX);
    counter!("aegis_relay_published_total").increment(count(acknowledged));
    counter!("aegis_relay_refused_total").increment(count(refused));
    counter!("aegis_relay_outages_total").increment(u64::from(away));
}

/// An event became a dead letter.
pub(super) fn buried() {
    counter!("aegis_relay_dead_letters_total").increment(1);
}
