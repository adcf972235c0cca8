//! A clock that goes when it is told to: days pass in no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

/// Microseconds since 1970, as a database keeps them. Clones are the same clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn at(start: OffsetDateTime) -> Self {
        let microseconds = start.unix_timestamp_nanos() / 1_000;
        Self(Arc::new(AtomicI64::new(
            i64::try_from(microseconds).unwrap(),
        )))
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        let nanoseconds = i128::from(self.0.load(Ordering::SeqCst)) * 1_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap()
    }

    pub(crate) fn forward(&self, by: Duration) {
        let microseconds = i64::try_from(by.as_micros()).unwrap();
        self.0.fetch_add(microseconds, Ordering::SeqCst);
    }
}
