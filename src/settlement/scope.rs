//! What a run is for.

use time::macros::format_description;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use crate::merchant::MerchantId;

/// What a run is for.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Only this merchant.
    pub merchant: Option<MerchantId>,
    /// What had matured by then, UTC; never after the time of the run.
    pub at: OffsetDateTime,
    /// Who has it done.
    pub by: String,
}

/// A day that has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is in the future, and nobody knows what will have matured by then; write today ({today}) or a \
     day before"
)]
pub struct InFuture {
    /// Today, in UTC.
    pub today: Date,
}

impl Scope {
    /// What had matured by now, or, with a date, by the end of that day in UTC.
    ///
    /// # Errors
    /// The day has not come.
    pub fn new(
        merchant: Option<MerchantId>,
        date: Option<Date>,
        by: String,
        now: OffsetDateTime,
    ) -> Result<Self, InFuture> {
        let now = now.to_offset(UtcOffset::UTC);
        let today = now.date();
        let at = match date {
            None => now,
            Some(date) if date > today => return Err(InFuture { today }),
            Some(date) => {
                let end = date.next_day().map(|next| next.with_time(Time::MIDNIGHT));
                let end = end.map_or(now, |end| end.assume_utc()).min(now);
                // Nothing matured before, and the database knows no day that long ago.
                end.max(OffsetDateTime::UNIX_EPOCH)
            }
        };
        Ok(Self { merchant, at, by })
    }
}

/// Reads a day such as `2026-11-22`.
///
/// # Errors
/// What to write instead.
pub fn day(text: &str) -> Result<Date, String> {
    let format = format_description!("[year]-[month]-[day]");
    Date::parse(text, format).map_err(|_| "is not a day: write one such as 2026-11-22".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    const NOW: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);

    fn at(date: Date) -> Result<OffsetDateTime, InFuture> {
        Scope::new(None, Some(date), String::new(), NOW).map(|scope| scope.at)
    }

    #[test]
    fn a_day_ends_at_its_midnight_in_utc_today_now_and_tomorrow_is_refused() {
        assert_eq!(
            at(date!(2026 - 11 - 21)),
            Ok(datetime!(2026-11-22 00:00 UTC))
        );
        assert_eq!(at(date!(2026 - 11 - 22)), Ok(NOW));
        let today = date!(2026 - 11 - 22);
        assert_eq!(at(date!(2026 - 11 - 23)), Err(InFuture { today }));
        assert_eq!(at(Date::MIN), Ok(OffsetDateTime::UNIX_EPOCH));
    }

    #[test]
    fn what_is_no_day_is_answered_with_how_one_is_written() {
        assert_eq!(day("2028-02-29"), Ok(date!(2028 - 02 - 29)));
        for text in ["2027-02-29", "tomorrow", "", "2026-1-1", "22.11.2026"] {
            assert!(
                day(text).is_err_and(|says| says.contains("2026-11-22")),
                "{text}"
            );
        }
    }
}
