//! The days on which a merchant's money moves, in the merchant's time zone.
//!
//! Either every day counts, or business days only: those that are neither of the weekend nor
//! holidays. A day that the zone skipped counts in neither.

use std::collections::BTreeSet;

use time::{Date, OffsetDateTime, Time, Weekday};

use super::zone::Zone;
use crate::ledger::InvalidField;

/// The most holidays that terms can name: half a century of twenty a year.
const HOLIDAYS_MAX: usize = 1_000;

/// A date or a time that no calendar holds. It ends with the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{from} can't be counted on from: the calendar ends with the year 9999; look at the dates")]
pub struct BeyondCalendar {
    /// The date, or that of the time in UTC.
    pub from: Date,
}

impl BeyondCalendar {
    pub(super) fn at(time: OffsetDateTime) -> Self {
        Self { from: time.date() }
    }
}

/// Which days count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Days {
    Every,
    Business {
        weekend: Vec<Weekday>,
        holidays: Vec<Date>,
    },
}

/// A merchant's days.
///
/// ```
/// use aegis::terms::Calendar;
/// use time::Weekday::{Friday, Saturday};
/// use time::macros::date;
///
/// let kuwait = "Asia/Kuwait".parse().unwrap();
/// let holidays = vec![date!(2027-02-25)];
/// let calendar = Calendar::business(kuwait, vec![Friday, Saturday], holidays).unwrap();
/// // Wednesday, then a holiday, Friday and Saturday.
/// assert_eq!(calendar.add_days(date!(2027-02-24), 1), Ok(date!(2027-02-28)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: Zone,
    days: Days,
}

impl Calendar {
    /// A calendar in which every day counts.
    #[must_use]
    pub fn every_day(zone: Zone) -> Self {
        Self {
            zone,
            days: Days::Every,
        }
    }

    /// A calendar of business days.
    ///
    /// # Errors
    /// A day or a holiday that stands twice, a weekend of seven days, more than 1,000 holidays.
    pub fn business(
        zone: Zone,
        mut weekend: Vec<Weekday>,
        mut holidays: Vec<Date>,
    ) -> Result<Self, Vec<InvalidField>> {
        let mut problems = Vec::new();
        let numbers = weekend.iter().map(|day| day.number_from_monday().into());
        repeated(numbers, "weekend", &mut problems);
        weekend.sort_unstable_by_key(|day| day.number_days_from_monday());
        weekend.dedup();
        if weekend.len() == 7 {
            let problem = "holds all seven days: leave out those on which business is done";
            problems.push(InvalidField::new("weekend", problem));
        }
        if holidays.len() > HOLIDAYS_MAX {
            let problem = format!("has {} days: write at most {HOLIDAYS_MAX}", holidays.len());
            problems.push(InvalidField::new("holidays", problem));
            holidays.truncate(HOLIDAYS_MAX);
        }
        let numbers = holidays.iter().map(|day| day.to_julian_day());
        repeated(numbers, "holidays", &mut problems);
        holidays.sort_unstable();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            zone,
            days: Days::Business { weekend, holidays },
        })
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn days(&self) -> &Days {
        &self.days
    }

    /// Whether that day of the week is one of the weekend.
    #[must_use]
    pub fn is_weekend(&self, day: Weekday) -> bool {
        matches!(&self.days, Days::Business { weekend, .. } if weekend.contains(&day))
    }

    fn counts(&self, date: Date) -> Option<bool> {
        if let Days::Business { holidays, .. } = &self.days
            && (self.is_weekend(date.weekday()) || holidays.binary_search(&date).is_ok())
        {
            return Some(false);
        }
        self.zone.has(date)
    }

    fn from(&self, mut date: Date) -> Option<Date> {
        while !self.counts(date)? {
            date = date.next_day()?;
        }
        Some(date)
    }

    /// The first day that counts, from `date` on.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn roll_on(&self, date: Date) -> Result<Date, BeyondCalendar> {
        self.from(date).ok_or(BeyondCalendar { from: date })
    }

    /// The last day that counts, up to `date`.
    ///
    /// # Errors
    /// The calendar does not hold the date.
    pub fn roll_back(&self, date: Date) -> Result<Date, BeyondCalendar> {
        let back = || {
            let mut day = date;
            while !self.counts(day)? {
                day = day.previous_day()?;
            }
            Some(day)
        };
        back().ok_or(BeyondCalendar { from: date })
    }

    /// The day that many counted days after `date`. Where `date` itself does not count, the first
    /// one that does stands in for it.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn add_days(&self, date: Date, days: u16) -> Result<Date, BeyondCalendar> {
        let counted = || {
            let mut day = self.from(date)?;
            for _ in 0..days {
                day = self.from(day.next_day()?)?;
            }
            Some(day)
        };
        counted().ok_or(BeyondCalendar { from: date })
    }

    /// The instant at which a day begins.
    ///
    /// # Errors
    /// The calendar does not hold the date.
    pub fn start_of(&self, date: Date) -> Result<OffsetDateTime, BeyondCalendar> {
        self.zone
            .start_of(date)
            .ok_or(BeyondCalendar { from: date })
    }

    /// The day that `at` belongs to: the last one that has begun. It never goes back, also where
    /// clocks are set back over midnight.
    ///
    /// # Errors
    /// The calendar does not hold the time.
    pub fn today(&self, at: OffsetDateTime) -> Result<Date, BeyondCalendar> {
        let day = || self.first_open(at, Time::MIDNIGHT, |day| self.zone.has(day));
        day().ok_or(BeyondCalendar::at(at))
    }

    /// The first day that counts and closes after `at`.
    pub(super) fn open_at(&self, at: OffsetDateTime, cut_off: Time) -> Option<Date> {
        self.first_open(at, cut_off, |day| self.counts(day))
    }

    fn first_open(
        &self,
        at: OffsetDateTime,
        cut_off: Time,
        counts: impl Fn(Date) -> Option<bool>,
    ) -> Option<Date> {
        // All days before the one that the clocks show have closed: it has begun.
        let mut day = self.zone.date_at(at)?;
        while !counts(day)? || self.closes_at(day, cut_off)? <= at {
            day = day.next_day()?;
        }
        Some(day)
    }

    /// When a day closes: at the cut-off, where midnight is the one at its end.
    pub(super) fn closes_at(&self, date: Date, cut_off: Time) -> Option<OffsetDateTime> {
        if cut_off == Time::MIDNIGHT {
            return self.zone.start_of(date.next_day()?);
        }
        self.zone.first_instant(date, cut_off)
    }
}

/// Names the days that stood before already, each given by a number of its own.
fn repeated(days: impl Iterator<Item = i32>, list: &str, problems: &mut Vec<InvalidField>) {
    let mut seen = BTreeSet::new();
    for (n, day) in days.enumerate() {
        if !seen.insert(day) {
            let problem = "stands twice: write each day once";
            problems.push(InvalidField::new(format!("{list}[{n}]"), problem));
        }
    }
}
