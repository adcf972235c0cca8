//! Points in time as they are kept.

use std::time::Duration;

use time::OffsetDateTime;

/// The time in whole microseconds, the precision that the database keeps: what is told now is what is
/// read later.
#[must_use]
pub fn whole_microseconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_microsecond(time.microsecond()).unwrap_or(time)
}

/// The time so much later, in whole microseconds; the time itself where the calendar ends before.
#[must_use]
pub fn later(time: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by))
        .map_or(time, whole_microseconds)
}
